/** Which system calls a container may make: as profiles say it, and as a runtime is told. */

/** A condition on an argument of a call; several of one rule hold together. */
export interface SeccompArg {
  /** From 0. */
  index: number;
  value: number;
  valueTwo?: number;
  op: string;
}

/** A rule of linux.seccomp (runtime spec). */
export interface SeccompRule {
  names: string[];
  action: string;
  errnoRet?: number;
  args?: SeccompArg[];
}

/** `linux.seccomp` of the runtime spec. */
export interface SpecSeccomp {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  flags?: string[];
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls?: SeccompRule[];
}

/** When a rule is in force: all that is named must hold; for an exclusion any of it is enough. */
export interface SeccompFilter {
  /** `CAP_NAME`, of the container's bounding set. */
  readonly caps?: readonly string[];
  /** As docker names them: amd64, arm64, s390x and so on. */
  readonly arches?: readonly string[];
  /** `4.8`. */
  readonly minKernel?: string;
}

/** A rule with what it depends on. */
export interface SeccompProfileRule {
  readonly name?: string;
  readonly names?: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArg[] | null;
  readonly includes?: SeccompFilter;
  readonly excludes?: SeccompFilter;
  readonly comment?: string;
}

/**
 * A profile in the format of the files that docker and nerdctl take; `linux.seccomp` of a spec is one too. What depends on
 * capabilities, architecture and kernel is resolved when a container is made.
 */
export interface SeccompProfile {
  readonly defaultAction?: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly archMap?: readonly { readonly architecture: string; readonly subArchitectures?: readonly string[] | null }[];
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly SeccompProfileRule[] | null;
}
