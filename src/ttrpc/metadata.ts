/** Metadata: what travels with a request besides the request. */

/** What metadata can be made of. A list stands for several values of one key. */
export type MetadataInit =
  Metadata | Readonly<Record<string, string | readonly string[]>> | Iterable<readonly [string, string]>;

/** Keys with one or more values each, in the order they were added. Keys are lower case, however they are written. */
export class Metadata {
  readonly #values = new Map<string, string[]>();

  /** From pairs, or from an object whose values are texts or lists of texts. */
  constructor(init: MetadataInit = []) {
    if (Symbol.iterator in init) {
      for (const [key, value] of init) this.append(key, value);
      return;
    }
    for (const [key, values] of Object.entries(init)) {
      if (typeof values === 'string') this.append(key, values);
      else for (const value of values) this.append(key, value);
    }
  }

  /** The first value of a key. */
  get(key: string): string | undefined {
    return this.#values.get(key.toLowerCase())?.[0];
  }

  /** All values of a key. */
  getAll(key: string): readonly string[] {
    return this.#values.get(key.toLowerCase()) ?? [];
  }

  /** True when the key has a value. */
  has(key: string): boolean {
    return this.#values.has(key.toLowerCase());
  }

  /** Adds a value to those that the key has. */
  append(key: string, value: string): this {
    const lower = key.toLowerCase();
    const values = this.#values.get(lower);
    if (values === undefined) this.#values.set(lower, [value]);
    else values.push(value);
    return this;
  }

  /** Gives the key these values, in place of those that it has. */
  set(key: string, ...values: string[]): this {
    if (values.length === 0) this.#values.delete(key.toLowerCase());
    else this.#values.set(key.toLowerCase(), values);
    return this;
  }

  /** Takes a key's values away; false when it had none. */
  delete(key: string): boolean {
    return this.#values.delete(key.toLowerCase());
  }

  /** One pair for each value, as on the wire. */
  *[Symbol.iterator](): Generator<[string, string], void> {
    for (const [key, values] of this.#values) for (const value of values) yield [key, value];
  }
}
