/** What each stdio URI becomes (contract §6.6). */
import { existsSync } from 'node:fs';
import { notImplemented } from '../../api/errdefs.js';
import { DirectStdio } from './direct.js';
import { PipedStdio } from './piped.js';
import { TerminalStdio } from './terminal.js';
import type { Stdio, StdioRequest } from './types.js';

export type { Stdio, StdioRequest } from './types.js';

/** Opens a process's stdio. Only stdout's scheme is looked at; it governs stderr too. */
export async function openStdio(request: StdioRequest, warn: (text: string) => void): Promise<Stdio> {
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\//.exec(request.stdout)?.[1]?.toLowerCase() ?? 'fifo';
  switch (scheme) {
    case 'fifo':
      if (!request.terminal && labelsMatter(request.label)) return PipedStdio.open(request, warn);
      return request.terminal ? TerminalStdio.open(request, warn) : DirectStdio.open(request);
    case 'file':
      return request.terminal ? TerminalStdio.open(request, warn) : DirectStdio.open(request);
    case 'binary':
    case 'binary-v2':
      throw notImplemented(`STDIO scheme ${scheme}`);
    default:
      throw new Error(`unknown STDIO scheme ${scheme}`);
  }
}

/** SELinux checks an inherited descriptor against the label of its file; the client's FIFOs bear the client's. */
export function labelsMatter(label: string, selinux = '/sys/fs/selinux/enforce'): boolean {
  return label !== '' && existsSync(selinux);
}
