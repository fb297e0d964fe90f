/**
 * Fields of a document whose scalars are all text, as YAML's failsafe schema leaves them: a field's type is the specification's, so that `name: 0`
 * is a name and `fileMode: 0660` a number, whatever a version of YAML would make of them.
 */

/** One object of the document, and where it is, for messages. */
export class Fields {
  readonly #values = new Map<string, unknown>();

  /**
   * @param names of the fields that there may be, with or without capitals: the specification itself writes one of them in two ways
   * @throws Error that names a field which there is not
   */
  constructor(
    value: unknown,
    private readonly where: string,
    names: readonly string[],
  ) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new Error(`${where || 'it'} is no object`);
    for (const [key, inner] of Object.entries(value)) {
      const name = names.find((one) => one.toLowerCase() === key.toLowerCase());
      if (name === undefined) throw new Error(`${this.at(key)} is unknown: there are ${names.join(', ')}`);
      if (!isNothing(inner)) this.#values.set(name, inner);
    }
  }

  /** The field's place: `devices[0].name`. */
  at(name: string): string {
    return this.where === '' ? name : `${this.where}.${name}`;
  }

  /** Undefined when it is not there, or empty. */
  text(name: string): string | undefined {
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    return textOf(value, this.at(name)) || undefined;
  }

  texts(name: string): string[] | undefined {
    return this.list(name)?.map((value, n) => textOf(value, `${this.at(name)}[${n}]`));
  }

  /** A whole number. */
  integer(name: string, minimum: number, maximum: number): number | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : integerOf(value, this.at(name), minimum, maximum);
  }

  integers(name: string, minimum: number, maximum: number): number[] | undefined {
    return this.list(name)?.map((value, n) => integerOf(value, `${this.at(name)}[${n}]`, minimum, maximum));
  }

  boolean(name: string): boolean | undefined {
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    const word = textOf(value, this.at(name)).toLowerCase();
    if (['true', 'yes', 'on'].includes(word)) return true;
    if (['false', 'no', 'off'].includes(word)) return false;
    throw new Error(`${this.at(name)} is neither true nor false`);
  }

  object(name: string, names: readonly string[]): Fields | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : new Fields(value, this.at(name), names);
  }

  objects(name: string, names: readonly string[]): Fields[] | undefined {
    return this.list(name)?.map((value, n) => new Fields(value, `${this.at(name)}[${n}]`, names));
  }

  /** An object whose names are anybody's. */
  record(name: string): Record<string, string> {
    const value = this.#values.get(name) ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) throw new Error(`${this.at(name)} is no object`);
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, textOf(inner, `${this.at(name)}.${key}`)]),
    );
  }

  private list(name: string): unknown[] | undefined {
    const value = this.#values.get(name);
    if (value !== undefined && !Array.isArray(value)) throw new Error(`${this.at(name)} is no list`);
    return value;
  }
}

/** As YAML writes that there is no value. */
function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === '' || value === '~';
}

function textOf(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new Error(`${where} is no text`);
  return value;
}

/** Also in base 8, as modes of files are written: 0660, 0o660. */
function integerOf(value: unknown, where: string, minimum: number, maximum: number): number {
  const text = textOf(value, where);
  const [, sign = '', octal, other = ''] = /^([-+]?)(?:0o?([0-7]+)|(0x[\da-f]+|0b[01]+|\d+))$/i.exec(text) ?? [];
  const size = octal === undefined ? Number(other || NaN) : parseInt(octal, 8);
  const number = sign === '-' ? -size : size;
  if (!(number >= minimum && number <= maximum))
    throw new Error(`${where} ${JSON.stringify(text)} is no whole number from ${minimum} to ${maximum}`);
  return number;
}
