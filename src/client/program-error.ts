/** What a runtime says of a process that it could not start: whose fault it is. */
import { ClientError, ProgramNotExecutableError, ProgramNotFoundError } from './errors.js';

export type StartFault =
  /** The program is not there. */
  | { readonly kind: 'missing' }
  /** It is there, and cannot be run. */
  | { readonly kind: 'unusable' }
  /** The working directory cannot be entered. */
  | { readonly kind: 'directory'; readonly path: string; readonly reason: string }
  /** Neither is at fault: the hook for networks (network/hook) has said why not. */
  | { readonly kind: 'network'; readonly reason: string };

/** What the hook for networks has said, in what the runtime says of it. It comes first: plugins speak of programs, too. */
const NETWORK = /hawser-network: (?<why>.+?)(?:: unknown)?$/;
/** The directory comes first: its name, and that of a program, may hold any words. */
const DIRECTORY = [
  // runc, to 1.3 at least
  /chdir to cwd \("(?<path>.*)"\) set in config\.json failed: (?<why>.+?)(?:: unknown)?$/i,
  // crun
  /chdir to `(?<path>.*)`: (?<why>.+?)(?:: unknown)?$/i,
  // runc makes a container's directory when it is missing
  /error during container init: mkdir (?<path>.*): (?<why>not a directory|permission denied|read-only file system)(?:: unknown)?$/i,
];
/** Of runc, crun, and hawser/shim. */
const MISSING =
  /executable file .*not found|(?:exec: .*|exec \S*): no such file or directory|open executable: no such file|cannot find.*executable/i;
const NO_PROGRAM = new RegExp(
  [
    /exec: ".*": .+/,
    /exec \S+: (?:permission denied|is a directory|not a directory|exec format error)/,
    /open executable: /,
    /the path `.*` (?:exists but it is not executable|is not a regular file)/,
    /cannot open `.*`: (?:not a directory|permission denied)/,
    /exec: exec format error/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'i',
);

/**
 * Undefined when it is nobody's fault of these.
 *
 * @param cwd the working directory that was to be
 */
export function startFaultOf(text: string, cwd: string | undefined): StartFault | undefined {
  const { why: reason } = NETWORK.exec(text)?.groups ?? {};
  if (reason !== undefined) return { kind: 'network', reason };
  for (const pattern of DIRECTORY) {
    const { path, why = '' } = pattern.exec(text)?.groups ?? {};
    // Directories of mounts are made in the same way.
    if (path === undefined || (pattern.source.includes('mkdir') && path !== cwd)) continue;
    return { kind: 'directory', path, reason: why };
  }
  if (MISSING.test(text)) return { kind: 'missing' };
  return NO_PROGRAM.test(text) ? { kind: 'unusable' } : undefined;
}

/** A failed start's error, of a class of its own when it is the program's fault; its text and code as they were. */
export function asProgramError(error: unknown, cwd: string | undefined): unknown {
  if (!(error instanceof ClientError)) return error;
  const fault = startFaultOf(error.message.trim().replace(/\s*\n\s*/g, '; '), cwd);
  if (fault === undefined || fault.kind === 'network') return error;
  const { code, message } = error;
  return fault.kind === 'missing'
    ? new ProgramNotFoundError(code, message, { cause: error })
    : new ProgramNotExecutableError(code, message, { cause: error });
}
