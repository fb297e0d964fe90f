/** What Hawser reads of an OCI runtime spec (runtime-spec, config.md). Everything else passes through as bytes. */

export interface Namespace {
  type: string;
  /** An existing namespace to join; absent or empty for a new one. */
  path?: string;
}

/** A container's `config.json`. */
export interface Spec {
  annotations?: Record<string, string>;
  process?: Process;
  hooks?: { poststop?: unknown[] | null } | null;
  linux?: { namespaces?: Namespace[]; cgroupsPath?: string };
}

/** A process as the OCI spec describes it; what is not declared here passes through. */
export interface Process {
  terminal?: boolean;
  selinuxLabel?: string;
  [key: string]: unknown;
}

/**
 * True when the container's processes don't die with its init: they are in the host's or another container's pid
 * namespace, so the kernel doesn't kill them (contract §4.5).
 */
export function sharesPidNamespace(spec: Spec): boolean {
  return !spec.linux?.namespaces?.some((namespace) => namespace.type === 'pid' && !namespace.path);
}
