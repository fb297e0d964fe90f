/** Shims that run: Hawser's own, of this user, in this PID namespace. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { servedAt } from '../../oci/bundle.js';
import { unlessGone } from '../../sys/error.js';
import { isOwnProgram } from '../../sys/own-program.js';
import { parseFlags } from './flags.js';
import { UsageError } from './usage-error.js';

/** What the kernel calls each shim's process. */
const NAME = 'containerd-shim';

export interface RunningShim {
  readonly pid: number;
  readonly namespace: string;
  /** Of the container that it was started for. */
  readonly id: string;
  /** Its daemon's gRPC socket. */
  readonly daemon: string;
  /** Device and inode of its program. */
  readonly program: string;
  /** It knows what the signal means that asks for another program (monitor/replace.h). */
  readonly isReplaceable: boolean;
}

/** All of them, by pid. */
export function runningShims(): RunningShim[] {
  const ours = new Map<string, boolean>();
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => look(Number(name), ours))
    .filter((shim) => shim !== undefined);
}

/** The same process still. */
export function isStill({ pid, namespace, id, program }: RunningShim): boolean {
  const now = look(pid, new Map());
  return now?.namespace === namespace && now.id === id && now.program === program;
}

/** The one that serves a container: its own, or that of its group. */
export function serves(shim: RunningShim, namespace: string, id: string): boolean {
  if (shim.namespace !== namespace) return false;
  if (shim.id === id) return true;
  const bundle = unlessGone(() => readlinkSync(`/proc/${shim.pid}/cwd`));
  if (bundle === undefined || basename(bundle) !== shim.id) return false;
  const own = servedAt(bundle);
  return own !== undefined && own === servedAt(join(dirname(bundle), id));
}

/** @param ours what is known of programs, by device and inode */
function look(pid: number, ours: Map<string, boolean>): RunningShim | undefined {
  return unlessGone(() => {
    const proc = `/proc/${pid}`;
    if (readFileSync(`${proc}/comm`, 'latin1').trim() !== NAME || statSync(proc).uid !== process.geteuid!())
      return undefined;
    // A container may have a daemon in it, and that an installation of its own.
    if (readlinkSync(`${proc}/ns/pid`) !== readlinkSync('/proc/self/ns/pid')) return undefined;
    const { dev, ino } = statSync(`${proc}/exe`);
    const program = `${dev}:${ino}`;
    if (!ours.has(program)) ours.set(program, isOwnProgram(`${proc}/exe`));
    const invocation = ours.get(program) && invocationOf(readFileSync(`${proc}/cmdline`, 'utf8'));
    if (!invocation) return undefined;
    const [, blocked = '0'] = /^SigBlk:\s*([0-9a-f]+)/m.exec(readFileSync(`${proc}/status`, 'latin1')) ?? [];
    const bit = 1n << BigInt(constants.signals.SIGUSR2 - 1);
    const { namespace, id, address } = invocation;
    return { pid, namespace, id, daemon: address, program, isReplaceable: (BigInt(`0x${blocked}`) & bit) !== 0n };
  });
}

function invocationOf(commandLine: string): ReturnType<typeof parseFlags> | undefined {
  try {
    const invocation = parseFlags(commandLine.split('\0').slice(1, -1));
    return invocation.action === 'start' && invocation.id ? invocation : undefined;
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}
