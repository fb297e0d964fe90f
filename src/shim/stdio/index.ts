/** What each stdio URI becomes (contract §6.6). */
import { notImplemented } from '../../api/errdefs.js';
import { DirectStdio } from './direct.js';
import { TerminalStdio } from './terminal.js';
import type { Stdio, StdioRequest } from './types.js';

export type { Stdio, StdioRequest } from './types.js';

/** Opens a process's stdio. Only stdout's scheme is looked at; it governs stderr too. */
export async function openStdio(request: StdioRequest, warn: (text: string) => void): Promise<Stdio> {
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\//.exec(request.stdout)?.[1]?.toLowerCase() ?? 'fifo';
  switch (scheme) {
    case 'fifo':
    case 'file':
      return request.terminal ? TerminalStdio.open(request, warn) : DirectStdio.open(request);
    case 'binary':
    case 'binary-v2':
      throw notImplemented(`STDIO scheme ${scheme}`);
    default:
      throw new Error(`unknown STDIO scheme ${scheme}`);
  }
}
