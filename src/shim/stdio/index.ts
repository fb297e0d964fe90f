/** What each stdio URI becomes (contract §6.6). */
import { PlainStdio } from './plain.js';
import { TerminalStdio } from './terminal.js';
import type { Stdio, StdioObserver, StdioRequest } from './types.js';

export { ON_DEATH_ANNOTATION } from './log/settings.js';
export { checkTargets } from './target.js';
export type { Stdio, StdioRequest } from './types.js';

/** Opens a process's stdio: each output by its own URI. Throws InvalidArgument for one that asks for what there is not. */
export async function openStdio(
  request: StdioRequest,
  warn: (text: string) => void,
  observer: StdioObserver,
): Promise<Stdio> {
  return request.terminal ? TerminalStdio.open(request, warn, observer) : PlainStdio.open(request, warn, observer);
}
