/** What each stdio URI becomes (contract §6.6). */
import { PlainStdio } from './plain.js';
import { TerminalStdio } from './terminal.js';
import type { Found } from '../worker/leaving.js';
import type { RestingStdio, Stdio, StdioObserver, StdioRequest } from './types.js';

export { ON_DEATH_ANNOTATION } from './log/settings.js';
export { checkTargets } from './target.js';
export type { RestingStdio, Stdio, StdioRequest } from './types.js';

/** Opens a process's stdio: each output by its own URI. Throws InvalidArgument for one that asks for what there is not. */
export async function openStdio(
  request: StdioRequest,
  warn: (text: string) => void,
  observer: StdioObserver,
): Promise<Stdio> {
  return request.terminal ? TerminalStdio.open(request, warn, observer) : PlainStdio.open(request, warn, observer);
}

/** Goes on with the stdio of a process, which another worker has opened. */
export function resumeStdio(
  request: StdioRequest,
  warn: (text: string) => void,
  observer: StdioObserver,
  resting: RestingStdio,
  found: Found,
): Stdio {
  return request.terminal
    ? TerminalStdio.resume(request, warn, observer, resting, found)
    : PlainStdio.resume(request, warn, observer, resting, found);
}
