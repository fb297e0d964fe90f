/** Changes to the volumes of a namespace, by whoever has their lock. A process that is killed at any step leaves what the next one finishes, or takes back. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { unescaped } from '../../oci/mountinfo.js';
import { copyAttributes } from '../../oci/copy-tree.js';
import { removeTree } from '../../oci/remove-tree.js';
import { tryLock } from '../../sys/index.js';
import { Code } from '../../ttrpc/status.js';
import { pause, throwIfAborted } from '../abort.js';
import { FailedPreconditionError, UnknownError } from '../errors.js';
import { NOTHING, readJournal, writeJournal, type Journal } from './journal.js';
import { DATA, DESCRIPTION, unlessMissing, type VolumeStore } from './store.js';
import type { Volume } from './types.js';

/** How often the lock is asked for. */
const FIRST_PAUSE_MS = 2;
const LAST_PAUSE_MS = 50;

/** Names of containers, by the volumes that they have. */
export type Uses = ReadonlyMap<string, readonly string[]>;

/** Puts into an empty directory what it is to begin with. */
export type Fill = (directory: string) => Promise<void>;

export class HeldStore {
  #journal: Journal = NOTHING;

  private constructor(
    readonly store: VolumeStore,
    private readonly fd: number,
  ) {}

  /**
   * Waits for the lock, which is nerdctl's (flock(2) of the namespace's directory), and finishes what others have left.
   *
   * @param uses asked for only when there is something to finish
   */
  static async acquire(store: VolumeStore, uses: () => Promise<Uses>, signal?: AbortSignal): Promise<HeldStore> {
    const held = new HeldStore(store, await lock(store.directory, signal));
    try {
      await held.#recover(uses);
      return held;
    } catch (error) {
      closeSync(held.fd);
      throw error;
    }
  }

  /** What is written down is done, and the lock free. */
  async release(): Promise<void> {
    try {
      await this.#clear();
    } finally {
      closeSync(this.fd);
    }
  }

  /** Makes a volume; it is there as a whole, filled, or not at all. It goes again unless {@link release} comes to be. */
  async make(name: string, labels: Readonly<Record<string, string>>, fill?: Fill): Promise<Volume> {
    const { store } = this;
    store.check(name);
    const staged = this.#stage('new');
    mkdirSync(staged, { mode: 0o700 });
    const data = join(staged, DATA);
    mkdirSync(data);
    // Whatever the umask is.
    chmodSync(data, 0o755);
    await fill?.(data);
    const text = JSON.stringify({ labels: Object.keys(labels).length === 0 ? null : labels }, undefined, 4);
    writeFileSync(join(staged, DESCRIPTION), text, { mode: 0o644 });
    this.intend([name]);
    try {
      renameSync(staged, store.path(name));
    } catch (error) {
      throw new UnknownError(Code.Unknown, `volume ${name} cannot be made: ${(error as Error).message}`, {
        cause: error,
      });
    }
    return store.get(name);
  }

  /** Fills a volume that is there and empty. What appears in it meanwhile is left as it is. */
  async fill(name: string, fill: Fill): Promise<void> {
    const tree = this.#stage('tree');
    mkdirSync(tree, { mode: 0o755 });
    await fill(tree);
    const entry = { tree: tree.slice(this.store.staging.length + 1), volume: name };
    this.#write({ ...this.#journal, fills: [...this.#journal.fills, entry] });
    await this.#move(entry);
    this.#write({ ...this.#journal, fills: this.#journal.fills.filter((one) => one !== entry) });
  }

  /** Has volumes removed unless a container has them, by the next who has the lock, too. */
  intend(names: readonly string[]): void {
    this.#write({ ...this.#journal, unlessUsed: [...this.#journal.unlessUsed, ...names] });
  }

  /** Removes volumes that were intended to go, but for those that a container has. */
  async removeUnused(uses: Uses): Promise<string[]> {
    const gone: string[] = [];
    for (const name of this.#journal.unlessUsed) {
      if (uses.has(name) || this.store.find(name) === undefined) continue;
      await this.remove(name);
      gone.push(name);
    }
    return gone;
  }

  /** @throws FailedPreconditionError when something is mounted in it, which would lose what it has, too */
  async remove(name: string): Promise<void> {
    const path = this.store.path(name);
    const point = mountPointIn(path);
    if (point !== undefined)
      throw new FailedPreconditionError(
        Code.FailedPrecondition,
        `volume ${name} cannot be removed: something is mounted at ${point}: failed precondition`,
      );
    const gone = this.#stage('gone');
    renameSync(path, gone);
    await removeTree(gone);
  }

  async #recover(uses: () => Promise<Uses>): Promise<void> {
    const { staging } = this.store;
    if (unlessMissing(() => readdirSync(staging)) === undefined) return;
    this.#journal = readJournal(staging);
    for (const entry of this.#journal.fills) await this.#move(entry);
    if (this.#journal.unlessUsed.length > 0) await this.removeUnused(await uses());
    await this.#clear();
  }

  /** Moves what was copied into a volume. It may have been moved in part. */
  async #move({ tree, volume }: Journal['fills'][number]): Promise<void> {
    const from = join(this.store.staging, tree);
    const to = this.store.data(volume);
    const stat = unlessMissing(() => lstatSync(from, { bigint: true }));
    if (stat === undefined || this.store.find(volume) === undefined) return;
    for (const name of readdirSync(from, 'buffer')) {
      const [source, target] = [within(from, name), within(to, name)];
      if (lstatSync(target, { throwIfNoEntry: false }) === undefined) renameSync(source, target);
    }
    copyAttributes(Buffer.from(from), Buffer.from(to), stat);
    await removeTree(from);
  }

  #stage(kind: string): string {
    mkdirSync(this.store.staging, { recursive: true, mode: 0o700 });
    return join(this.store.staging, `${kind}-${randomBytes(6).toString('hex')}`);
  }

  #write(journal: Journal): void {
    mkdirSync(this.store.staging, { recursive: true, mode: 0o700 });
    writeJournal(this.store.staging, journal);
    this.#journal = journal;
  }

  async #clear(): Promise<void> {
    const { staging } = this.store;
    const left = unlessMissing(() => readdirSync(staging));
    if (left === undefined) return;
    // The journal goes last: what it says holds for as long as anything is left.
    for (const name of left.sort((a, b) => Number(a === 'journal') - Number(b === 'journal')))
      await removeTree(join(staging, name));
    rmdirSync(staging);
    this.#journal = NOTHING;
  }
}

/** Waits for a directory's lock. @returns its descriptor */
async function lock(directory: string, signal: AbortSignal | undefined): Promise<number> {
  for (let ms = FIRST_PAUSE_MS; ; ms = Math.min(2 * ms, LAST_PAUSE_MS)) {
    throwIfAborted(signal);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const fd = openSync(directory, 'r');
    try {
      // Somebody may have put another directory in its place.
      if (tryLock(fd) && unlessMissing(() => statSync(directory).ino) === fstatSync(fd).ino) return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    closeSync(fd);
    await pause(ms, signal);
  }
}

function within(directory: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), name]);
}

/** The first mount point in a directory that is one itself, or has one below it. */
function mountPointIn(directory: string): string | undefined {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => unescaped(line.split(' ')[4] ?? ''))
    .find((point) => point === directory || point.startsWith(`${directory}/`));
}
