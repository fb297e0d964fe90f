/** What each stdio URI becomes (contract §6.6). */
import { existsSync } from 'node:fs';
import { PlainStdio } from './plain.js';
import { TerminalStdio } from './terminal.js';
import type { Stdio, StdioRequest } from './types.js';

export { ON_DEATH_ANNOTATION } from './log/settings.js';
export { checkTargets } from './target.js';
export type { Stdio, StdioRequest } from './types.js';

/** Opens a process's stdio: each output by its own URI. Throws InvalidArgument for one that asks for what there is not. */
export async function openStdio(request: StdioRequest, warn: (text: string) => void): Promise<Stdio> {
  return request.terminal
    ? TerminalStdio.open(request, warn)
    : PlainStdio.open(request, labelsMatter(request.label), warn);
}

/** SELinux checks an inherited descriptor against the label of its file; the client's FIFOs bear the client's. */
export function labelsMatter(label: string, selinux = '/sys/fs/selinux/enforce'): boolean {
  return label !== '' && existsSync(selinux);
}
