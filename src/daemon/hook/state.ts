/** What an OCI runtime tells its hooks: the container's state on standard input, and the bundle with its spec. */
import { readFileSync, readSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

/** The state of a container as the runtime spec has it; what it lacks is empty, and the pid 0. */
export interface HookState {
  readonly id: string;
  readonly status: string;
  readonly pid: number;
  readonly bundle: string;
  readonly annotations: Readonly<Record<string, string>>;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads a state and not a byte more: what follows is for whoever is given the descriptor next.
 *
 * @param fd a blocking one
 * @throws Error when there is no state
 */
export function readState(fd: number): HookState {
  const text = readObject(fd);
  if (text.trim() === '')
    throw new Error("standard input is empty: an OCI runtime's hook has the container's state there");
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (cause) {
    throw notState(`it is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (!isObject(given)) throw notState(`it must be an object, not ${text.trim()}`);
  const { id = '', status = '', pid = 0, bundle = '', annotations } = given;
  for (const [key, value] of Object.entries({ id, status, bundle }))
    if (typeof value !== 'string') throw notState(`${key} must be a text, not ${JSON.stringify(value)}`);
  if (!Number.isSafeInteger(pid)) throw notState(`pid must be a whole number, not ${JSON.stringify(pid)}`);
  if (bundle === '') throw notState('it names no bundle');
  const notes = annotations ?? {};
  if (!isObject(notes) || Object.values(notes).some((value) => typeof value !== 'string'))
    throw notState(`annotations must be texts by their names, not ${JSON.stringify(annotations)}`);
  return { id, status, pid, bundle, annotations: notes } as HookState;
}

function notState(why: string, options?: ErrorOptions): Error {
  return new Error(`standard input is no state of a container: ${why}`, options);
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Up to the end of the first JSON object; of what is none, the first word. Byte by byte, as nothing can be put back into a pipe. */
function readObject(fd: number): string {
  const bytes: number[] = [];
  const byte = Buffer.alloc(1);
  let [depth, quoted, escaped] = [0, false, false];
  while (readSync(fd, byte) === 1) {
    const letter = String.fromCharCode(byte[0]!);
    if (bytes.length === 0 && /[ \t\r\n]/.test(letter)) continue;
    bytes.push(byte[0]!);
    if (escaped) escaped = false;
    else if (quoted) {
      if (letter === '\\') escaped = true;
      else if (letter === '"') quoted = false;
    } else if (letter === '"') quoted = true;
    else if (letter === '{' || letter === '[') depth++;
    else if (letter === '}' || letter === ']') depth--;
    if (depth <= 0 && !quoted && /[}\] \t\r\n]/.test(letter)) break;
  }
  return Buffer.from(bytes).toString();
}

/**
 * The directory of a bundle's root file system.
 *
 * @throws Error when its spec cannot be read, or has no root
 */
export function rootOf(bundle: string): string {
  const path = join(bundle, 'config.json');
  let spec: unknown;
  try {
    spec = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new Error(`cannot read the spec of the container's bundle, ${path}: ${(cause as Error).message}`, { cause });
  }
  const root = isObject(spec) ? spec.root : undefined;
  if (!isObject(root))
    throw new Error(`${path} has no root, which the hook's templates may name: give it a section root with a path`);
  const { path: given = '' } = root;
  if (typeof given !== 'string') throw new Error(`${path}: root.path must be a text, not ${JSON.stringify(given)}`);
  return isAbsolute(given) ? given : join(bundle, given).replace(/(?<=.)\/+$/, '');
}
