/** A user and a container's process, until one of them leaves. */
import { constants } from 'node:os';
import { SIGNALLED } from '../errors.js';
import { whenBroken } from '../output/broken.js';
import type { Container, Exit as ProcessExit, WindowSize } from '../../client/index.js';
import { DetachScanner } from '../terminal/detach-keys.js';
import { deadlySignal, onResize, rawMode, windowSize } from '../terminal/raw.js';
import { forwardSignals } from '../terminal/signals.js';
import type { ContainerIo } from './io.js';

export interface Conversation {
  readonly io: ContainerIo;
  /** Resolves when the process has ended. */
  readonly exit: Promise<ProcessExit>;
  /** The process has a terminal; ours is raw then, if it is to type to it. */
  readonly terminal: boolean;
  readonly interactive: boolean;
  /** The end of our input is to be that of the process. */
  readonly closeStdin?: (() => Promise<void>) | undefined;
  readonly detachKeys: Buffer;
  readonly sigProxy: boolean;
  readonly resize: (size: WindowSize) => Promise<void>;
  readonly kill: (signal: NodeJS.Signals) => Promise<void>;
  /** Done between the process's end and that of its output; true when its output is known to be complete then. */
  readonly afterExit?: (() => Promise<boolean>) | undefined;
  readonly seen?: (() => void) | undefined;
  /** Ours to end: when nobody reads its output any more it is killed, as a program in a shell's pipe is. */
  readonly own?: boolean | undefined;
}

/**
 * Passes everything on until the process ends.
 *
 * @returns how it has ended, or 'detached' when the user has left it
 * @throws Exit when a signal ends the command
 */
export async function converse(talk: Conversation): Promise<ProcessExit | 'detached'> {
  const { io } = talk;
  const raw = talk.terminal && talk.interactive && process.stdin.isTTY;
  const giveBack = raw ? rawMode() : () => undefined;
  const stopResizing = talk.terminal
    ? onResize((size) => void talk.resize(size).catch(() => undefined))
    : () => undefined;
  const signals = talk.terminal ? deadlySignal() : undefined;
  const forwarding = !talk.terminal && talk.sigProxy ? forwardSignals(talk.kill) : undefined;
  let over = false;
  let broken = false;
  const unwatch = talk.own
    ? whenBroken(() => {
        broken = true;
        void talk.kill('SIGKILL').catch(() => undefined);
      })
    : () => undefined;
  const typing = talk.interactive ? passInput(talk, raw) : undefined;
  try {
    const shown = io.show(talk.seen);
    // A failure of it counts when it is waited for below.
    shown.catch(() => undefined);
    const ended = talk.exit.then(async (exit) => {
      io.ended(talk.afterExit ? await talk.afterExit() : false);
      await shown;
      over = true;
      return broken ? { ...exit, exitCode: SIGNALLED + constants.signals.SIGPIPE } : exit;
    });
    ended.catch(() => undefined);
    return await Promise.race([
      ended,
      ...(typing ? [typing.detached] : []),
      ...(signals ? [signals.signal] : []),
      ...(forwarding ? [forwarding.given] : []),
    ]);
  } finally {
    unwatch();
    typing?.stop();
    stopResizing();
    signals?.stop();
    forwarding?.stop();
    giveBack();
    if (!over) io.leave();
  }
}

function passInput(
  { io, detachKeys, closeStdin }: Conversation,
  raw: boolean,
): { readonly detached: Promise<'detached'>; stop(): void } {
  const { stdin } = process;
  const scanner = new DetachScanner(raw ? detachKeys : Buffer.alloc(0));
  let onData: (chunk: Buffer) => void = () => undefined;
  const onEnd = (): void => {
    // It may have ended before it has read everything.
    if (closeStdin) void closeStdin().catch(() => undefined);
  };
  const detached = new Promise<'detached'>((resolve) => {
    onData = (chunk) => {
      const { pass, detached: leaves } = scanner.scan(chunk);
      const { input } = io;
      if (input && !input.destroyed && pass.length > 0 && !input.write(pass)) {
        stdin.pause();
        input.once('drain', () => stdin.resume());
      }
      if (leaves) resolve('detached');
    };
  });
  // Input that nobody takes is left to the next command; the keys that leave are heard anyway.
  if (io.input || raw) {
    stdin.on('data', onData);
    stdin.once('end', onEnd);
    io.input?.on('error', () => stdin.pause());
  }
  return {
    detached,
    stop: () => {
      stdin.off('data', onData);
      stdin.off('end', onEnd);
      stdin.pause();
    },
  };
}

/** Our terminal's size, for a process that has one. */
export function firstSize(terminal: boolean): WindowSize | undefined {
  return terminal ? windowSize() : undefined;
}

/** Has a program in the terminal draw itself anew, as it has not seen who has come: it is told of two changes of size. */
export async function redraw(container: Container): Promise<void> {
  const size = windowSize();
  if (!size) return;
  await container.resizeTerminal({ columns: size.columns, rows: size.rows + 1 });
  await container.resizeTerminal(size);
}
