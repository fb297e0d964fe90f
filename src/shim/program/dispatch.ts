/** The program of any shim: containerd's command line, and who does what it asks for. */
import { peerCredentials } from '../../sys/index.js';
import { readInput } from './bootstrap.js';
import { parseFlags, usage, UsageError, type Invocation } from './flags.js';
import { UPGRADE_USAGE, type UpgradeOrder } from './upgrade-flags.js';

/** What differs from one shim's program to another. */
export interface Program {
  /** As usage and -v call it. */
  readonly name: string;
  readonly version: string;
  readonly revision?: string;
  /** Where its code lies, as the last line of -v has it. */
  origin(): string;
  /** What is said where no namespace is given. */
  readonly noNamespace: string;
  /** How it says that an action has failed. */
  failure(message: string, action: string): string;
  /** Says what it was asked for, or what went wrong when the status is not 0. May be waited for. */
  reply(status: number, text: string | Uint8Array): void | Promise<void>;
  /** Says what the daemon is to log, on standard error. */
  warn(text: string): void;
  /** An encoded RuntimeInfo. */
  info(input: Uint8Array): Promise<Uint8Array>;
  /** Replies, as it may go on after that. */
  start(invocation: Invocation): Promise<void>;
  /** An encoded DeleteResponse. */
  delete(invocation: Invocation, warn: (text: string) => void): Promise<Uint8Array>;
  /** Gives shims that run this version of the program. Absent where they cannot be given one. */
  upgrade?(order: UpgradeOrder): Promise<void>;
  /** Until there is nothing more to serve. */
  serve(invocation: Invocation): Promise<void>;
}

/**
 * Does what the command line asks for. Resolves to the exit status, when all has been said.
 *
 * @param args the command line without the program
 */
export async function dispatch(program: Program, args: readonly string[]): Promise<number> {
  let invocation: Invocation;
  try {
    invocation = parseFlags(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    await program.reply(2, `${error.message}\n${error.usage ?? usage(program.name)}`);
    return 2;
  }
  try {
    await act(program, invocation);
    return 0;
  } catch (error) {
    await program.reply(1, program.failure((error as Error).message, invocation.action));
    return 1;
  }
}

async function act(program: Program, invocation: Invocation): Promise<void> {
  if (invocation.help) return program.reply(0, usage(program.name));
  if (invocation.version) return program.reply(0, versionOf(program));
  if (invocation.info) return program.reply(0, await program.info(readInput()));
  if (invocation.action === 'debug') {
    const { ask } = await import('../debug/index.js');
    return program.reply(0, await ask(invocation, peerCredentials));
  }
  if (invocation.upgrade) {
    if (invocation.upgrade.help) return program.reply(0, UPGRADE_USAGE);
    if (!program.upgrade)
      throw new Error('upgrade: shims of this program cannot be given another version while they run');
    return program.upgrade(invocation.upgrade);
  }
  if (!invocation.namespace) throw new Error(program.noNamespace);
  switch (invocation.action) {
    case 'start':
      return program.start(invocation);
    case 'delete':
      return deleteFor(program, invocation);
    default:
      return program.serve(invocation);
  }
}

async function deleteFor(program: Program, invocation: Invocation): Promise<void> {
  ignoreSignals();
  const warnings: string[] = [];
  const response = await program.delete(invocation, (text) => warnings.push(text));
  if (warnings.length > 0) program.warn(`${warnings.join('\n')}\n`);
  return program.reply(0, response);
}

/** systemd stops a unit by signalling all its processes, and cleaning up must get to its end (contract §1.8). */
function ignoreSignals(): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGPIPE'] as const) process.on(signal, () => undefined);
}

function versionOf(program: Program): string {
  const { name, version, revision } = program;
  const lines = [
    `Version:  ${version}`,
    ...(revision === undefined ? [] : [`Revision: ${revision}`]),
    `Node version: ${process.version}`,
    program.origin(),
  ];
  return `${name}:\n${lines.map((line) => `  ${line}\n`).join('')}\n`;
}
