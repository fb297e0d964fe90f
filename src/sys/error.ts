import { constants } from 'node:os';

/** A system call failed. Has the fields of Node's own system errors, so code that knows those knows this one. */
export class SysError extends Error {
  override readonly name = 'SysError';
  /** e.g. `ENOENT` */
  readonly code: string;
  /** Negative, as in Node. */
  readonly errno: number;
  readonly syscall: string;

  constructor(errno: number, syscall: string, subject?: string | number) {
    const code = nameOf(-errno);
    super(`${syscall}${subject === undefined ? '' : ` ${subject}`}: ${code}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** The result of a native call, or the error it stands for. */
export function checked(result: number, syscall: string, subject?: string | number): number {
  if (result < 0) throw new SysError(result, syscall, subject);
  return result;
}

/** util.getSystemErrorName() knows only those that libuv has a use for. */
function nameOf(errno: number): string {
  return Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
}

/** Undefined where a file or a process is gone, or may not be looked into; what is no error of the system's is thrown on. */
export function unlessGone<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}
