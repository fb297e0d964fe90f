import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';

/** Of what one command logged, this much of the end is looked through: a runtime gone mad must not fill our memory. */
const MAX_READ = 1024 * 1024;

/** What an OCI runtime logged to a file since a moment. */
export class LogTail {
  readonly #from: number;

  /** Remembers how long the log is now; call it just before the command runs. */
  constructor(readonly file: string) {
    this.#from = sizeOf(file);
  }

  /**
   * The message of the last error entry logged since, or undefined; of a log that is huge only the end is looked at. Lines
   * that are no JSON are passed over: runc's own children write to the same file, and a crash may cut a line.
   */
  lastError(): string | undefined {
    let found: string | undefined;
    for (const line of this.#fresh().split('\n')) {
      const entry = parse(line);
      if (entry?.level === 'error' && typeof entry.msg === 'string') found = entry.msg.trim();
    }
    return found;
  }

  #fresh(): string {
    let fd: number;
    try {
      fd = openSync(this.file, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
    try {
      const { size } = fstatSync(fd);
      const from = Math.max(this.#from, size - MAX_READ);
      const length = Math.max(0, size - from);
      const bytes = Buffer.alloc(length);
      return bytes.toString('utf8', 0, readSync(fd, bytes, 0, length, from));
    } finally {
      closeSync(fd);
    }
  }
}

/** 0 when it cannot be told: who then reads it hears why. */
function sizeOf(file: string): number {
  try {
    return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  } catch (error) {
    if (error instanceof Error) return 0;
    throw error;
  }
}

function parse(line: string): { level?: unknown; msg?: unknown } | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as { level?: unknown; msg?: unknown };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
