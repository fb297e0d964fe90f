/** Environment variables, labels, and other lists of NAME=VALUE. */
import { readFileSync } from 'node:fs';
import { CliError, FAILED, UsageError } from '../errors.js';

/** Of files first, then of flags: what comes later wins. A name alone takes the value of this process, or is left out. */
export function environment(flags: readonly string[] = [], files: readonly string[] = []): string[] {
  const lines = linesOf(files, '--env-file');
  const values = new Map<string, string>();
  for (const text of [...lines, ...flags]) {
    const at = text.indexOf('=');
    const name = at < 0 ? text : text.slice(0, at);
    if (name === '' || /\s/.test(name))
      throw new UsageError(`environment ${JSON.stringify(text)}: ${JSON.stringify(name)} is no name; it is NAME=VALUE`);
    const value = at < 0 ? process.env[name] : text.slice(at + 1);
    if (value !== undefined) values.set(name, value);
  }
  return [...values].map(([name, value]) => `${name}=${value}`);
}

/** Of files with a label on each line. */
export function labelLines(files: readonly string[] = []): string[] {
  return linesOf(files, '--label-file');
}

/** Without empty lines and comments. */
function linesOf(files: readonly string[], flag: string): string[] {
  return files.flatMap((file) =>
    read(file, flag)
      .split('\n')
      .map((line) => line.trimStart())
      .filter((line) => line !== '' && !line.startsWith('#')),
  );
}

/** `NAME=VALUE` as a record; a name alone has an empty value. */
export function pairs(texts: readonly string[] = [], what: string): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      const name = at < 0 ? text : text.slice(0, at);
      if (name === '') throw new UsageError(`${what} ${JSON.stringify(text)}: it is NAME=VALUE`);
      return [name, at < 0 ? '' : text.slice(at + 1)];
    }),
  );
}

function read(file: string, flag: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(`${flag} ${file} cannot be read: ${(error as Error).message}`, FAILED, { cause: error });
  }
}
