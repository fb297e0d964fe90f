/**
 * The `upgrade` action: has shims that run go on with this version of the program, each in its own process (monitor/replace.c). It
 * asks by a signal, which only the same user or root can send, and is then connected to by each monitor in a directory of its own.
 */
import { closeSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { openPidfd, peerCredentials, signalPidfd } from '../../sys/index.js';
import { BUILD } from '../observe/version.js';
import { FORMAT } from '../worker/format.js';
import { Conversation, type Monitor } from './conversation.js';
import { isStill, runningShims, serves, type RunningShim } from './running.js';
import type { UpgradeOrder } from './upgrade-flags.js';

/** Where the installed files lie; set when the shim is bundled. */
declare const HAWSER_LIBRARY: string;

/** How soon a monitor connects, besides: it does nothing that takes longer than a check of another program. */
const CONNECT_MS = 5_000;
/** What it takes besides: two checks, of five seconds at the most (monitor/replace.c). */
const ANSWER_MS = 20_000;
/** A signal that comes while the one before it waits is lost. */
const REPEAT_MS = 1_000;
/** At once. Each waits mostly for its worker. */
const AT_ONCE = 8;

export interface UpgradeOptions extends UpgradeOrder {
  /** Our native program, and the newest format of a monitor's table that it reads. */
  program: string | undefined;
  tableFormat: number;
  /** The addon is the bundle's, of which this is none. */
  system: { openPidfd: typeof openPidfd; signalPidfd: typeof signalPidfd; peerCredentials: typeof peerCredentials };
  /** Where zygotes wait, when it is not where they usually do. */
  runDir: string | undefined;
}

/** What became of one. */
type Outcome =
  | { readonly how: 'upgraded' | 'could'; readonly ran: string }
  | { readonly how: 'current' | 'gone' }
  | { readonly how: 'elsewhere'; readonly ran: string; readonly library: string }
  | { readonly how: 'cannot'; readonly ran: string | undefined; readonly why: string };

/**
 * @param print what became of each, a line
 * @throws Error when one that was asked for does not run this version in the end
 */
export async function upgrade(options: UpgradeOptions, print: (line: string) => void): Promise<void> {
  const { namespace, id, address, dryRun, program } = options;
  if (program === undefined)
    throw new Error('upgrade: it is the native program that does it; run that, not its library');
  const shims = runningShims()
    .filter((shim) => (!namespace || shim.namespace === namespace) && (!address || shim.daemon === address))
    .filter((shim) => !id || serves(shim, namespace, id));
  if (id && shims.length === 0)
    throw new Error(
      `upgrade: no shim of Hawser's and of this user runs for ${namespace}/${id}${address && ` of ${address}`}`,
    );
  if (id && shims.length > 1)
    throw new Error(
      `upgrade: several daemons have a ${namespace}/${id}; say which by -address: ${shims.map(({ daemon }) => daemon).join(', ')}`,
    );
  const failed = await inTurn(shims, options, print);
  if (shims.length === 0) print("no shim of Hawser's runs\n");
  if (failed > 0)
    throw new Error(
      `upgrade: ${failed} of ${shims.length} shims ${dryRun ? 'cannot' : 'could not'} be upgraded; they go on as before`,
    );
}

async function inTurn(
  shims: readonly RunningShim[],
  options: UpgradeOptions,
  print: (line: string) => void,
): Promise<number> {
  const own = shims.length > 0 ? await Asker.open(options) : undefined;
  const left = [...shims];
  let failed = 0;
  const work = async (): Promise<void> => {
    for (let shim; (shim = left.shift());) {
      const outcome = await own!.ask(shim);
      if (outcome.how === 'cannot') failed++;
      print(`${shim.namespace}/${shim.id}: ${describe(outcome)}\n`);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } finally {
    own?.close();
  }
  return failed;
}

function describe(outcome: Outcome): string {
  const now = named(BUILD);
  switch (outcome.how) {
    case 'upgraded':
      return `ran ${named(outcome.ran)}, runs ${now}`;
    case 'could':
      return `runs ${named(outcome.ran)}, would run ${now}`;
    case 'current':
      return `runs ${now} already`;
    case 'gone':
      return 'has ended meanwhile';
    case 'elsewhere':
      return `runs ${named(outcome.ran)} of ${outcome.library}, and is left at that; with -namespace and -id it would be moved to this one`;
    case 'cannot':
      return `${outcome.ran === undefined ? 'runs what it ran' : `runs ${named(outcome.ran)} still`}: cannot be upgraded: ${outcome.why}`;
  }
}

/** `0.1.0 abc` as `0.1.0 (abc)`. */
function named(build: string): string {
  return build.replace(/^(\d\S*) (\S+)$/, '$1 ($2)');
}

/** Listens for monitors that have been signalled. */
class Asker {
  readonly #waiting = new Map<number, (socket: Socket) => void>();

  private constructor(
    private readonly options: UpgradeOptions,
    private readonly dir: string,
    private readonly server: Server,
    /** Of our native program. */
    private readonly own: string,
  ) {
    server.on('connection', (socket) => this.#connected(socket));
  }

  static async open(options: UpgradeOptions): Promise<Asker> {
    const dir = ownDirectory(options.runDir);
    try {
      // Where monitors find it, whichever file system they have: /proc/PID/cwd.
      process.chdir(dir);
      const server = createServer();
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen('upgrade', resolve));
      return new Asker(options, dir, server, programId(options.program!));
    } catch (error) {
      rmSync(dir, { recursive: true, force: true });
      throw error;
    }
  }

  close(): void {
    this.server.close();
    process.chdir('/');
    rmSync(this.dir, { recursive: true, force: true });
  }

  async ask(shim: RunningShim): Promise<Outcome> {
    const { program, isReplaceable } = shim;
    if (program === this.own) return { how: 'current' };
    if (!isReplaceable && !(await staysSo(shim))) return { how: 'gone' };
    if (!isReplaceable)
      return {
        how: 'cannot',
        ran: undefined,
        why: 'its version does not know of upgrades; it goes on with it until its container is started anew',
      };
    const socket = await this.#call(shim);
    if (typeof socket !== 'object')
      return socket === 'gone' ? { how: 'gone' } : { how: 'cannot', ran: undefined, why: socket };
    const conversation = new Conversation(socket);
    try {
      const monitor = await conversation.monitor(ANSWER_MS);
      if (monitor === undefined)
        return isStill(shim) ? { how: 'cannot', ran: undefined, why: 'its monitor says nothing' } : { how: 'gone' };
      if ('no' in monitor) return { how: 'cannot', ran: undefined, why: monitor.no };
      return await this.#order(shim, monitor, conversation);
    } finally {
      conversation.close();
    }
  }

  async #order(shim: RunningShim, monitor: Monitor, conversation: Conversation): Promise<Outcome> {
    const { id, dryRun, patience, program, tableFormat } = this.options;
    const { build: ran, library } = monitor;
    const cannot = (why: string): Outcome => ({ how: 'cannot', ran, why });
    if (!id && library !== HAWSER_LIBRARY) return { how: 'elsewhere', ran, library };
    if (monitor.tableFormat > tableFormat)
      return cannot(
        `its monitor's table has format ${monitor.tableFormat}, and this version reads ${tableFormat} at the most`,
      );
    if (monitor.recordFormat > FORMAT)
      return cannot(
        `what its worker has left has format ${monitor.recordFormat}, and this version reads ${FORMAT} at the most`,
      );
    const answer = await conversation.order(
      [dryRun ? 'try' : 'replace', FORMAT, patience, program!],
      patience * 1000 + ANSWER_MS,
    );
    if (answer === undefined) {
      if (!isStill(shim) && dryRun) return { how: 'gone' };
      return cannot(
        `its monitor, process ${shim.pid}, ${existsSync(`/proc/${shim.pid}`) ? 'does not answer' : 'has ended meanwhile'}`,
      );
    }
    if (answer.how === 'no') return cannot(answer.why);
    if (answer.how === 'over') return { how: 'gone' };
    return { how: answer.how === 'runs' ? 'upgraded' : 'could', ran };
  }

  /** The connection that its monitor makes; `gone`, or why there is none. */
  async #call(shim: RunningShim): Promise<Socket | string> {
    let pidfd: number | undefined;
    try {
      pidfd = this.options.system.openPidfd(shim.pid);
      if (!isStill(shim)) return 'gone';
      return await this.#signal(shim.pid, pidfd);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      return code === 'ESRCH' ? 'gone' : message;
    } finally {
      if (pidfd !== undefined) closeSync(pidfd);
    }
  }

  async #signal(pid: number, pidfd: number): Promise<Socket | string> {
    const until = performance.now() + this.options.patience * 1000 + CONNECT_MS;
    const connected = new Promise<Socket>((resolve) => this.#waiting.set(pid, resolve));
    try {
      while (performance.now() < until) {
        this.options.system.signalPidfd(pidfd, constants.signals.SIGUSR2);
        const socket = await Promise.race([connected, new Promise<void>((resolve) => setTimeout(resolve, REPEAT_MS))]);
        if (socket) return socket;
      }
      return `its monitor, process ${pid}, does not answer: is it stopped? /proc/${pid}/stack tells more`;
    } finally {
      this.#waiting.delete(pid);
    }
  }

  #connected(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    const { fd } = (socket as { _handle?: { fd?: number } | null })._handle ?? {};
    const { pid, uid } = fd === undefined ? { pid: 0, uid: -1 } : this.options.system.peerCredentials(fd);
    const found = uid === process.geteuid!() ? this.#waiting.get(pid) : undefined;
    if (found) found(socket);
    else socket.destroy();
  }
}

/** What a shim has just forked looks like one for a moment. */
async function staysSo(shim: RunningShim): Promise<boolean> {
  for (let look = 0; look < 10; look++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (!isStill(shim)) return false;
  }
  return true;
}

/** Device and inode, as monitors have it. */
function programId(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}

/** A directory that nobody else can write to. What a killed one has left is removed. */
function ownDirectory(runDir: string | undefined): string {
  if (process.geteuid!() !== 0) return mkdtempSync(join(tmpdir(), 'hawser-upgrade-'));
  const parent = runDir || '/run/hawser';
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(parent)) {
    const [, pid] = /^upgrade-(\d+)$/.exec(name) ?? [];
    if (pid !== undefined && (Number(pid) === process.pid || !existsSync(`/proc/${pid}`)))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
  const dir = join(parent, `upgrade-${process.pid}`);
  mkdirSync(dir, { mode: 0o700 });
  return dir;
}
