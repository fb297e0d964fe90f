/** What runs sandboxes. */
import type { containerd, google } from '../../api/full.js';
import type { Sandbox } from '../metadata/types.js';

type Shim = typeof containerd.runtime.sandbox.v1;

export interface SandboxRequest {
  readonly id: string;
  readonly sandbox: Sandbox;
  readonly rootfs: containerd.types.Mount.$Properties[];
  readonly options: google.protobuf.Any.$Properties | null | undefined;
  readonly netnsPath: string;
  readonly annotations: Record<string, string>;
}

/**
 * One way to run sandboxes: a plugin of type {@link PluginType.SandboxController}, by whose id clients name it. Throughout, a
 * sandbox that does not run is NotFound.
 */
export interface SandboxController {
  /** True while it is made, runs or is ended. */
  has(namespace: string, id: string): boolean;
  /** Makes it, not started yet. AlreadyExists when it runs. */
  create(namespace: string, request: SandboxRequest, signal: AbortSignal): Promise<void>;
  /** Starts it; when that fails, nothing is left of it. */
  start(namespace: string, id: string): Promise<InstanceType<Shim['StartSandboxResponse']>>;
  platform(namespace: string, id: string): Promise<InstanceType<Shim['PlatformResponse']>>;
  /** Stops what runs; one that does not is stopped. */
  stop(namespace: string, id: string, timeoutSecs: number): Promise<void>;
  wait(namespace: string, id: string, signal: AbortSignal): Promise<InstanceType<Shim['WaitSandboxResponse']>>;
  /** Undefined for one that does not run. */
  status(
    namespace: string,
    id: string,
    verbose: boolean,
  ): Promise<InstanceType<Shim['SandboxStatusResponse']> | undefined>;
  /** Ends it; nothing is left of it but its record. */
  shutdown(namespace: string, id: string): Promise<void>;
  metrics(namespace: string, id: string): Promise<containerd.types.Metric.$Properties | null | undefined>;
  update(namespace: string, id: string, sandbox: Sandbox, fields: string[]): Promise<void>;
}
