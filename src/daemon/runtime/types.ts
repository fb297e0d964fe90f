import type { google } from '../../api/full.js';

/** A way to run containers: a shim binary, and what it is told when a container says nothing else. */
export interface Runtime {
  /** What containers ask for: `io.containerd.runc.v2`, `runc`, … */
  readonly name: string;
  /** The shim: an absolute path, or a runtime name in containerd's grammar from which the binary's name follows (contract §1.1). */
  readonly shim: string;
  readonly options?: google.protobuf.Any.$Properties | undefined;
}

export interface RuntimeRegistry {
  /** AlreadyExists for a name that is taken. */
  register(runtime: Runtime): void;
  list(): Runtime[];
  /**
   * The runtime of a name, the default one for an empty name. A name that nobody registered still counts when it is an
   * absolute path or follows containerd's grammar; InvalidArgument otherwise.
   */
  get(name: string): Runtime;
}
