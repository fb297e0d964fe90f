/** Where a container's cgroups lie in the file system. v1: a directory for each controller. v2: one. */
export type CgroupPaths = { version: 1; controllers: Record<string, string> } | { version: 2; dir: string };
