/** The state dump in the shim's log: a line for each thing, as the FIFO takes a line of 4 KiB whole or not at all. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../observe/log.js';
import type { Sources } from './sources.js';
import { takeState } from './state.js';

/** Lines written before the daemon gets the time to read them: a FIFO holds 16 of the longest. */
const BURST = 12;
const PAUSE_MS = 10;

export async function logState(sources: Sources, log: Logger): Promise<void> {
  const { containers, requests, runtimeCommands, waits, recentErrors, ...rest } = await takeState(sources);
  const lines: [string, Record<string, unknown>][] = [
    [
      'state of the shim',
      {
        state: {
          ...rest,
          containers: containers.length,
          requests: requests.length,
          runtimeCommands: runtimeCommands.length,
        },
      },
    ],
  ];
  for (const { execs, ...container } of containers) {
    lines.push(['state: container', { container }]);
    for (const exec of execs) lines.push(['state: exec', { container: container.id, exec }]);
  }
  for (const request of requests) lines.push(['state: request', { request }]);
  for (const command of runtimeCommands) lines.push(['state: runtime command', { command }]);
  for (const wait of waits) lines.push(['state: wait', { wait }]);
  for (const complaint of recentErrors) lines.push(['state: recent error', { complaint }]);
  lines.push(['state: end', { lines: lines.length }]);
  for (const [at, [message, fields]] of lines.entries()) {
    if (at % BURST === BURST - 1) await delay(PAUSE_MS);
    log.info(message, fields);
  }
}
