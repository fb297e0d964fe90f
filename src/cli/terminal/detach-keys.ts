/** The keys that leave a container without ending it, as docker writes them: `ctrl-p,ctrl-q`. */
import { UsageError } from '../errors.js';

export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q';

const CONTROL = '@abcdefghijklmnopqrstuvwxyz[\\]^_';

/** The bytes that a sequence of keys sends; empty for none. */
export function parseDetachKeys(text: string): Buffer {
  if (text === '') return Buffer.alloc(0);
  const bytes = text.split(',').map((key) => {
    if (/^[\x21-\x7e]$/.test(key)) return key.charCodeAt(0);
    const control = /^ctrl-(.)$/i.exec(key)?.[1]?.toLowerCase();
    const code = control === undefined ? -1 : CONTROL.indexOf(control);
    if (code < 0)
      throw new UsageError(
        `--detach-keys ${JSON.stringify(text)}: ${JSON.stringify(key)} is no key; each is a letter, or ctrl- and one of a-z @ [ \\ ] ^ _, with commas between them`,
      );
    return code;
  });
  return Buffer.from(bytes);
}

/** Finds the sequence in what is typed; what may be its beginning is held back until the next key tells. */
export class DetachScanner {
  #matched = 0;

  constructor(private readonly keys: Buffer) {}

  /** What is to be passed on, and whether the sequence is complete; what comes behind it is dropped. */
  scan(input: Buffer): { pass: Buffer; detached: boolean } {
    const { keys } = this;
    if (keys.length === 0) return { pass: input, detached: false };
    const pass: Buffer[] = [];
    let from = 0;
    for (let i = 0; i < input.length; i++) {
      if (input[i] === keys[this.#matched]) {
        if (++this.#matched === keys.length)
          return {
            pass: Buffer.concat([...pass, input.subarray(from, Math.max(from, i + 1 - keys.length))]),
            detached: true,
          };
        continue;
      }
      if (this.#matched === 0) continue;
      // Of the keys held back, those that came in earlier input are not in this one.
      const earlier = this.#matched - (i - from);
      if (earlier > 0) pass.push(keys.subarray(0, earlier));
      this.#matched = input[i] === keys[0] ? 1 : 0;
      if (earlier > 0 || this.#matched > 0) {
        pass.push(input.subarray(from, i));
        from = i;
      }
    }
    pass.push(input.subarray(from, Math.max(from, input.length - this.#matched)));
    return { pass: Buffer.concat(pass), detached: false };
  }
}
