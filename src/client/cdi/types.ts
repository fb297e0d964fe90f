/** A file of the Container Device Interface, as its specification has it. */

/** A device node: what is not said is that of the host's. */
export interface CdiDeviceNode {
  /** In the container. */
  readonly path: string;
  /** Where it is on the host. Default: the same path. */
  readonly hostPath: string | undefined;
  /** b, c, u or p. */
  readonly type: string | undefined;
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number | undefined;
  /** Of `rwm`, or `none`. Default: all three. */
  readonly permissions: string | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

export interface CdiMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly type: string | undefined;
  readonly options: readonly string[] | undefined;
}

export interface CdiHook {
  /** That of the runtime spec: `createContainer` and so on. */
  readonly hookName: string;
  readonly path: string;
  readonly args: readonly string[] | undefined;
  readonly env: readonly string[] | undefined;
  /** Seconds. */
  readonly timeout: number | undefined;
}

export interface CdiIntelRdt {
  readonly closID: string | undefined;
  readonly l3CacheSchema: string | undefined;
  readonly memBwSchema: string | undefined;
  readonly schemata: readonly string[] | undefined;
  readonly enableMonitoring: boolean | undefined;
}

/** What is done to a container's spec. */
export interface CdiEdits {
  readonly env: readonly string[];
  readonly deviceNodes: readonly CdiDeviceNode[];
  readonly netDevices: readonly { readonly hostInterfaceName: string; readonly name: string }[];
  readonly hooks: readonly CdiHook[];
  readonly mounts: readonly CdiMount[];
  readonly intelRdt: CdiIntelRdt | undefined;
  readonly additionalGids: readonly number[];
}

export interface CdiFile {
  readonly version: string;
  /** `VENDOR/CLASS` of all its devices. */
  readonly kind: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly devices: readonly CdiFileDevice[];
  /** For each of its devices. */
  readonly edits: CdiEdits;
}

export interface CdiFileDevice {
  readonly name: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly edits: CdiEdits;
}
