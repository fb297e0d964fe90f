/** The file system that daemons are configured in: the machine's own, or one below a directory (`--root`, as systemctl has it). */
import { lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CliError } from '../errors.js';

const ABSENT = new Set(['ENOENT', 'ENOTDIR']);

/** A file that is there, and not for this user. */
export class Unreadable extends CliError {}

export class Root {
  /** Empty for the machine's own. */
  readonly dir: string;

  /** @throws CliError when there is no such directory */
  constructor(dir = '/') {
    const found = resolve(dir);
    this.dir = found === '/' ? '' : found;
    if (!statSync(found, { throwIfNoEntry: false })?.isDirectory())
      throw new CliError(`--root ${dir}: there is no such directory`);
  }

  /** Daemons that run here have been started from these files. */
  get isThisMachine(): boolean {
    return this.dir === '';
  }

  /** Where a path of that file system is found from here. */
  at(path: string): string {
    return join(this.dir, path) || '/';
  }

  /** A path from here as it is called there; one that isn't below stays. */
  inside(path: string): string {
    return this.dir !== '' && path.startsWith(`${this.dir}/`) ? path.slice(this.dir.length) : path;
  }

  /** @throws Unreadable when it is there and cannot be read */
  read(path: string): string | undefined {
    return this.#unlessAbsent(path, (file) => readFileSync(file, 'utf8'));
  }

  /** Names in a directory, in order; none where there is no directory. */
  list(path: string): string[] {
    return this.#unlessAbsent(path, (file) => readdirSync(file).sort()) ?? [];
  }

  exists(path: string): boolean {
    return this.#unlessAbsent(path, (file) => statSync(file)) !== undefined;
  }

  /** The file that is to be replaced when a path is written: where links lead, so that they stay links. */
  target(path: string): string {
    const file = this.at(path);
    if (!lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()) return file;
    return this.#unlessAbsent(path, (link) => realpathSync(link)) ?? file;
  }

  #unlessAbsent<T>(path: string, work: (file: string) => T): T | undefined {
    const file = this.at(path);
    try {
      return work(file);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (ABSENT.has(code)) return undefined;
      throw new Unreadable(
        `${file} cannot be read: ${(error as Error).message}${code === 'EACCES' ? ': run hawser as root' : ''}`,
        1,
        { cause: error },
      );
    }
  }
}
