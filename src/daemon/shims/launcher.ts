/** Starts shims and cleans up after them, by their binaries (contract §1.2–1.7, §1.9, §1.10). */
import { availableParallelism } from 'node:os';
import { containerd, google, millis } from '../../api/full.js';
import { realtime } from '../../sys/index.js';
import { parseAnswer, type Bootstrap } from './answer.js';
import { resolveShim, type ShimSearch } from './binary.js';
import { runShim } from './command.js';
import { Gate } from './gate.js';

type Any = google.protobuf.Any.$Properties;

/** What shims are told of the daemon that starts them, in the words of containerd 1.7. */
export interface LauncherOptions {
  readonly address: string;
  readonly ttrpcAddress: string;
  /** A program that takes `publish` as containerd does: some shims send their events by it. */
  readonly publishBinary: string;
  readonly search: ShimSearch;
  /** Shims log what they do. */
  readonly debug: boolean;
  /** What shims have in their environment besides. SCHED_CORE=1, as they know it: each shim and its containers share cores with nobody else. */
  readonly env: Readonly<Record<string, string>>;
  /** How long `start` may take, in milliseconds. */
  readonly startMs: number;
  /** How long `delete` may take. */
  readonly cleanupMs: number;
}

/** The task in question, by its bundle. */
export interface ShimSubject {
  readonly namespace: string;
  readonly id: string;
  readonly path: string;
}

/** How a container ended whose shim is gone. */
export interface LastWord {
  readonly pid: number;
  readonly exitStatus: number;
  /** The present, where its shim does not tell. */
  readonly exitedAt: google.protobuf.Timestamp.$Properties;
  /** What could not be cleaned up; empty when all could. */
  readonly warnings: string;
}

export class ShimLauncher {
  /** Where hundreds of shims die at once, each clean-up is to have the time that it is given. */
  readonly #deletions = new Gate(Math.max(2, availableParallelism()));

  constructor(readonly options: LauncherOptions) {}

  /** The binary of a runtime; throws as {@link resolveShim} does. */
  resolve(runtime: string): string {
    return resolveShim(runtime, this.options.search);
  }

  /**
   * Has a shim serve the bundle's container: a new one, or that of its group.
   *
   * @param options the runtime's, handed over as they are
   * @throws Error with what the shim printed
   */
  async start(
    binary: string,
    subject: ShimSubject,
    options: Any | undefined,
    signal?: AbortSignal,
  ): Promise<Bootstrap> {
    const { stdout } = await runShim(binary, {
      args: [...this.#flags(subject), ...this.#debugFlag(), 'start'],
      cwd: subject.path,
      env: this.#environment(subject),
      input: options?.type_url ? google.protobuf.Any.encode(options).finish() : undefined,
      merged: true,
      timeoutMs: this.options.startMs,
      signal,
    });
    return parseAnswer(stdout);
  }

  /**
   * Cleans up what a container has left whose shim is gone. Does no harm when there is nothing.
   *
   * @throws Error with what the shim wrote, when it failed
   */
  async delete(binary: string, subject: ShimSubject): Promise<LastWord> {
    const { stdout, stderr } = await this.#deletions.run(() =>
      runShim(binary, {
        args: [...this.#flags(subject), '-bundle', subject.path, ...this.#debugFlag(), 'delete'],
        cwd: subject.path,
        env: this.#environment(subject),
        timeoutMs: this.options.cleanupMs,
      }),
    );
    const { pid, exitStatus, exitedAt } = containerd.task.v2.DeleteResponse.decode(stdout);
    // The Go shim's "no pid" is -1.
    return {
      pid: pid === 0xffff_ffff ? 0 : pid,
      exitStatus,
      exitedAt: millis(exitedAt) === undefined ? realtime() : exitedAt!,
      warnings: stderr.trim(),
    };
  }

  /** What a shim tells of itself and its runtime: an encoded `containerd.types.RuntimeInfo`. Shims know this since containerd 2.0. */
  async info(binary: string, options: Any | undefined): Promise<Uint8Array> {
    const { stdout } = await runShim(binary, {
      args: ['-info'],
      cwd: '/',
      env: process.env,
      input: options?.type_url ? google.protobuf.Any.encode(options).finish() : undefined,
      timeoutMs: this.options.cleanupMs,
    });
    return stdout;
  }

  #flags({ namespace, id }: ShimSubject): string[] {
    const { address, publishBinary } = this.options;
    return ['-namespace', namespace, '-address', address, '-publish-binary', publishBinary, '-id', id];
  }

  #debugFlag(): string[] {
    return this.options.debug ? ['-debug'] : [];
  }

  #environment({ namespace }: ShimSubject): Record<string, string | undefined> {
    const { address, ttrpcAddress } = this.options;
    return {
      ...process.env,
      GOMAXPROCS: '2',
      TTRPC_ADDRESS: ttrpcAddress,
      GRPC_ADDRESS: address,
      NAMESPACE: namespace,
      MAX_SHIM_VERSION: '2',
      ...this.options.env,
    };
  }
}
