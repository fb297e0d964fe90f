/** The daemon's part by direct ttrpc: directories, a socket for events that answers, a root file system, bundles. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ContainerdServicesEventsTtrpcV1Events as Events, containerd, pack } from '../../src/api/index.js';
import { makeFifo } from '../../src/sys/index.js';
import { Server } from '../../src/ttrpc/index.js';
import { makeRootfs } from '../support/daemons.js';

export interface Bundle {
  id: string;
  path: string;
}

export interface BundleOptions {
  terminal?: boolean;
  annotations?: Record<string, string>;
}

/** One life: how long each step took, in milliseconds. */
export type Times = Record<string, number>;

export async function timed<T>(times: Times, name: string, work: () => T | Promise<T>): Promise<T> {
  const from = performance.now();
  const result = await work();
  times[name] = performance.now() - from;
  return result;
}

/**
 * As most people do things: one at a time. Whoever moves a process to another cgroup finds the kernel ready for it for some milliseconds after
 * anybody else has, and waits for ten where nobody has: who comes right after another is measured with what that one has paid.
 */
export const APART_MS = 400;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What one run has in common. With nobody who answers events the Go shim would linger and spin. */
export class Lab {
  readonly rootfs: string;
  readonly events: string;
  readonly grpc: string;
  /** Called with the time at which a container's exit was told. */
  readonly exits = new Map<string, (at: number) => void>();
  readonly #server = new Server();
  #serial = 0;

  /**
   * @param dir is there, and is removed by who made it
   * @param state where bundles and what the runtime knows of containers lie: in memory, as daemons have it below /run
   */
  constructor(
    readonly dir: string,
    readonly state = dir,
  ) {
    this.rootfs = makeRootfs(join(dir, 'rootfs'));
    this.events = join(dir, 'events.sock');
    this.grpc = join(dir, 'grpc.sock');
  }

  async open(): Promise<this> {
    this.#server.add(Events, {
      Forward: ({ envelope }) => {
        const at = performance.now();
        if (envelope?.topic === '/tasks/exit' && envelope.event?.value) {
          const { containerId } = containerd.events.TaskExit.decode(envelope.event.value);
          this.exits.get(containerId)?.(at);
          this.exits.delete(containerId);
        }
        return {};
      },
    });
    await this.#server.serve(createServer().listen(this.events));
    return this;
  }

  /** @param cgroup the parent of the container's own */
  bundle(cgroup: string, args: string[], { terminal = false, annotations = {} }: BundleOptions = {}): Bundle {
    const id = `bench${process.pid}x${this.#serial++}`;
    const path = join(this.state, 'bundles', id);
    mkdirSync(path, { recursive: true });
    const namespaces = ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type }));
    writeFileSync(
      join(path, 'config.json'),
      JSON.stringify({
        ociVersion: '1.0.2',
        root: { path: this.rootfs, readonly: false },
        hostname: id,
        annotations,
        process: { terminal, user: { uid: 0, gid: 0 }, cwd: '/', args, env: ['PATH=/bin'] },
        mounts: [
          { destination: '/proc', type: 'proc', source: 'proc' },
          { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
          {
            destination: '/dev/pts',
            type: 'devpts',
            source: 'devpts',
            options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
          },
        ],
        linux: { namespaces, cgroupsPath: `${cgroup}/${id}` },
      }),
    );
    // The daemon makes the FIFO for the shim's log, and reads it.
    makeFifo(join(path, 'log'), 0o700);
    return { id, path };
  }

  /** The runtime's options for Create. */
  options(binaryName = '', root = join(this.state, 'runc')): ReturnType<typeof pack> {
    return pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { root, binaryName });
  }

  /** Hangs up. The directory is left to who made it. */
  close(): void {
    this.#server.close();
  }
}
