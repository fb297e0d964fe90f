/** The command line of a shim, in Go's flag syntax (contract §1.2). */

import { parseUpgrade, type UpgradeOrder } from './upgrade-flags.js';
import { UsageError } from './usage-error.js';

export { UsageError } from './usage-error.js';

/** What the daemon asks for. */
export interface Invocation {
  namespace: string;
  id: string;
  /** The daemon's gRPC socket. */
  address: string;
  publishBinary: string;
  bundle: string;
  debug: boolean;
  socket: string;
  debugSocket: string;
  info: boolean;
  version: boolean;
  help: boolean;
  /** `start`, `delete`, `debug`, `upgrade`, or anything else to serve. */
  action: string;
  /** What `debug` is to show. */
  topic: string;
  /** What `upgrade` is to do. After any other action nothing is looked at. */
  upgrade: UpgradeOrder | undefined;
}

const strings = {
  namespace: 'namespace that owns the shim',
  id: 'id of the task',
  address: 'grpc address back to main containerd',
  'publish-binary': 'path to publish binary (used for publishing events)',
  bundle: 'path to the bundle if not workdir',
  socket: 'socket path to serve',
  'debug-socket': 'debug socket path to serve',
} as const;

const booleans = {
  debug: 'enable debug output in logs',
  info: 'get the shim info and exit',
  v: 'show the shim version and exit',
  version: 'show the shim version and exit',
} as const;

export function parseFlags(args: readonly string[]): Invocation {
  const texts = new Map<string, string>();
  const set = new Set<string>();
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === '--') {
      at++;
      break;
    }
    const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(arg);
    if (!arg.startsWith('-') || arg === '-') break;
    if (!match) throw new UsageError(`bad flag syntax: ${arg}`);
    const [, name = '', value] = match;
    if (name === 'h' || name === 'help') {
      // Go looks no further, so nothing after it can be wrong.
      set.add('help');
      at = args.length;
      break;
    }
    if (Object.hasOwn(booleans, name)) setBoolean(set, name, value);
    else if (!Object.hasOwn(strings, name)) throw new UsageError(`flag provided but not defined: -${name}`);
    else if (value !== undefined) texts.set(name, value);
    else if (++at < args.length) texts.set(name, args[at]!);
    else throw new UsageError(`flag needs an argument: -${name}`);
  }
  const text = (name: keyof typeof strings): string => texts.get(name) ?? '';
  return {
    namespace: text('namespace'),
    id: text('id'),
    address: text('address'),
    publishBinary: text('publish-binary'),
    bundle: text('bundle'),
    socket: text('socket'),
    debugSocket: text('debug-socket'),
    debug: set.has('debug'),
    info: set.has('info'),
    version: set.has('v') || set.has('version'),
    help: set.has('help'),
    action: args[at] ?? '',
    topic: args[at] === 'debug' ? (args[at + 1] ?? '') : '',
    upgrade:
      args[at] === 'upgrade' && !set.has('help')
        ? parseUpgrade(args.slice(at + 1), { namespace: text('namespace'), id: text('id'), address: text('address') })
        : undefined,
  };
}

/** The daemon's ttrpc socket, which takes events; empty when it has told of none. */
export function ttrpcAddress({ address }: Pick<Invocation, 'address'>): string {
  return process.env.TTRPC_ADDRESS ?? (address ? `${address}.ttrpc` : '');
}

/** Go's booleans stand alone or take a value after `=`, never as the next word. */
function setBoolean(set: Set<string>, name: string, value: string | undefined): void {
  if (value === undefined || ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) set.add(name);
  else if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) set.delete(name);
  else throw new UsageError(`invalid boolean value ${JSON.stringify(value)} for -${name}: parse error`);
}

export function usage(program: string): string {
  const lines = [
    ...Object.entries(strings).map(([name, text]) => `  -${name} string\n    \t${text}`),
    ...Object.entries(booleans).map(([name, text]) => `  -${name}\n    \t${text}`),
  ].sort();
  return `Usage of ${program}:\n${lines.join('\n')}\n`;
}
