import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';

/** What an OCI runtime logged since a moment: the file is shared by all commands of a container and only grows. */
export class LogTail {
  readonly #from: number;

  /** Remembers how long the log is now; call it just before the command runs. */
  constructor(readonly file: string) {
    this.#from = sizeOf(file);
  }

  /**
   * The message of the last error entry logged since, or undefined. Lines that are no JSON are passed over: runc's own
   * children write to the same file, and a crash may cut a line.
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
      fd = openSync(this.file, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
    try {
      const length = Math.max(0, fstatSync(fd).size - this.#from);
      const bytes = Buffer.alloc(length);
      return bytes.toString('utf8', 0, readSync(fd, bytes, 0, length, this.#from));
    } finally {
      closeSync(fd);
    }
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
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
