/** Hosts that stand for registries. */
import type { Certificates } from './certificates.js';

/** What a host may be asked for. */
export type Capability = 'pull' | 'resolve' | 'push';
export const CAPABILITIES: readonly Capability[] = ['pull', 'resolve', 'push'];

/** One host that has a registry's repositories. */
export interface Host {
  /** Scheme, host, port and path, without a slash at its end: `https://registry-1.docker.io/v2`. */
  readonly base: string;
  /** Name with port, as credentials are kept by it and as errors name it. */
  readonly name: string;
  readonly capabilities: readonly Capability[];
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly certificates: Certificates;
  /** The registry that it stands for, where that is another one; it is told so. */
  readonly mirrorOf: string | undefined;
}

/** A host as a file says it, or as it goes without saying. */
export interface HostEntry {
  readonly url: string;
  readonly capabilities?: readonly Capability[] | undefined;
  /** Its path is the whole one: no `/v2` is put behind it. */
  readonly overridePath?: boolean | undefined;
  readonly headers?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly certificates?: Certificates | undefined;
}
