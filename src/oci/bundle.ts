/** A container's bundle directory: which file is called what, and how it is written (contract §1.11). */
import { copyFileSync, existsSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unlessGone } from '../sys/error.js';
import { parseExact } from './json.js';
import type { Spec } from './spec.js';

/** How the init ended, kept on disk so that whoever comes after the shim can tell the truth. */
export interface ExitRecord {
  pid: number;
  status: number;
  /** Milliseconds since the epoch. */
  exitedAt: number;
}

/** Paths and contents of one bundle. Reading throws what fs throws; `try…` gives undefined for a missing file. */
export class Bundle {
  constructor(readonly path: string) {}

  get rootfs(): string {
    return join(this.path, 'rootfs');
  }
  /** Where the OCI runtime logs, JSON lines. */
  get log(): string {
    return join(this.path, 'log.json');
  }
  /** criu's work directory lies below it; the daemon makes it. */
  get work(): string {
    return join(this.path, 'work');
  }
  /** The daemon's FIFO for the shim's own log. */
  get shimLog(): string {
    return join(this.path, 'log');
  }
  get initPid(): string {
    return join(this.path, 'init.pid');
  }

  /** An exec may be called `init` too, and must not take the init's file. */
  execPid(execId: string): string {
    return join(this.path, execId === 'init' ? 'init.exec.pid' : `${execId}.pid`);
  }

  spec(): Spec {
    const file = join(this.path, 'config.json');
    const text = readFileSync(file, 'utf8');
    try {
      return parseExact(text) as Spec;
    } catch (error) {
      throw new Error(`${file} is not valid JSON: ${(error as Error).message}`, { cause: error });
    }
  }

  /** The address of the shim that serves this container: read by containerd 1.x on restart. */
  writeAddress(address: string): void {
    writeAtomic(join(this.path, 'address'), address, 0o644);
  }

  /** Written before anything is mounted or run, so that `delete` finds the runtime's root after a crash. */
  writeOptions(options: Record<string, unknown>): void {
    writeAtomic(join(this.path, 'options.json'), JSON.stringify(options), 0o600);
  }

  tryOptions(): Record<string, unknown> | undefined {
    const text = tryRead(join(this.path, 'options.json'));
    if (text === undefined) return undefined;
    const options: unknown = JSON.parse(text);
    return typeof options === 'object' && options !== null ? (options as Record<string, unknown>) : undefined;
  }

  writeRuntime(binary: string): void {
    writeAtomic(join(this.path, 'runtime'), binary, 0o600);
  }

  tryRuntime(): string | undefined {
    return tryRead(join(this.path, 'runtime'))?.trim();
  }

  /** @param write for whoever has a quicker way than {@link writeAtomic} */
  writeExit(exit: ExitRecord, write: typeof writeAtomic = writeAtomic): void {
    write(join(this.path, 'exit.json'), JSON.stringify(exit), 0o600);
  }

  tryExit(): ExitRecord | undefined {
    const text = tryRead(join(this.path, 'exit.json'));
    return text === undefined ? undefined : (JSON.parse(text) as ExitRecord);
  }

  /** Copies a file into the bundle; a missing one is passed over. */
  keepFile(from: string, to: string): void {
    if (existsSync(from)) copyFileSync(from, to);
  }

  /**
   * Everything has been cleaned up, and this is what the `delete` action is to print: the launcher looks for it and need
   * not start Node (monitor/deleted.c).
   */
  writeDeleted(response: Uint8Array): void {
    writeAtomic(join(this.path, 'deleted'), response, 0o600);
  }

  /** The runtime had a container of this name before this one was to be made: `delete` must leave it alone. */
  writeForeign(): void {
    writeAtomic(join(this.path, 'foreign'), '', 0o600);
  }

  get isForeign(): boolean {
    return existsSync(join(this.path, 'foreign'));
  }

  /** What became of an earlier container that had this directory must not be taken for this one's fate. */
  removeEnd(): void {
    for (const name of ['exit.json', 'deleted', 'foreign']) removeFile(join(this.path, name));
  }
}

/** The pid that a runtime wrote: decimal, nothing else. */
export function readPidFile(file: string): number {
  const text = readFileSync(file, 'latin1');
  if (!/^0*[1-9]\d*\s*$/.test(text)) throw new Error(`${file} holds no pid but ${JSON.stringify(text.slice(0, 40))}`);
  return Number(text);
}

/** Like {@link readPidFile}, but undefined when there is no such file. */
export function tryReadPidFile(file: string): number | undefined {
  const text = tryRead(file);
  return text === undefined || !/^0*[1-9]\d*\s*$/.test(text) ? undefined : Number(text);
}

/** Replaces a file so that a reader sees the old content or the new, never a part. */
export function writeAtomic(file: string, content: string | Uint8Array, mode: number): void {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, content, { mode });
  renameSync(temporary, file);
}

/** Removes a file, if there is one. Not by rmSync, which loads what removes whole trees. */
export function removeFile(file: string): void {
  if (existsSync(file)) unlinkSync(file);
}

/** Where the shim of a bundle's container serves; containerd 2.x and earlier ones have that in different files. Undefined where neither can be read. */
export function servedAt(bundle: string): string | undefined {
  const text = unlessGone(() => readFileSync(join(bundle, 'address'), 'utf8').trim());
  if (text) return text;
  const bootstrap = unlessGone(() => readFileSync(join(bundle, 'bootstrap.json'), 'utf8'));
  if (bootstrap === undefined) return undefined;
  const { address } = JSON.parse(bootstrap) as { address?: unknown };
  return typeof address === 'string' ? address : undefined;
}

/** A file's text; undefined when there is no such file. */
export function tryRead(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
