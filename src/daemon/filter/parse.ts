import { errdefs } from '../../api/full.js';

export interface Selector {
  readonly path: readonly string[];
  /** Undefined: the field is to be there. */
  readonly operator: '==' | '!=' | '~=' | undefined;
  readonly value: string;
  /** Where the value begins. */
  readonly at: number;
}

const FIELD = /[\w-]+/y;
const OPERATOR = /[=!~]+/y;
/** `.` begins no value, as it separates fields; what is quoted begins with its quote. */
const VALUE = /[^\s,."/|=!~][^\s,]*/y;
const SPACE = /\s*/y;

const ESCAPES: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92 };
const HEX_LENGTH: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** The error for a filter, with the character that is at fault marked. */
export function filterError(text: string, at: number, message: string): Error {
  const [fault = ''] = text.slice(at);
  const marked = at < text.length ? `${text.slice(0, at)}>|${fault}|<${text.slice(at + fault.length)}` : `${text}>||<`;
  return errdefs.invalidArgument(`filter [${marked}]: ${message}`);
}

/** Reads one filter that is not empty. Spaces may stand between its words. */
export function parse(text: string): Selector[] {
  const parser = new Parser(text);
  const selectors: Selector[] = [];
  do selectors.push(parser.selector());
  while (parser.take(','));
  parser.end();
  return selectors;
}

class Parser {
  #at = 0;

  constructor(private readonly text: string) {}

  selector(): Selector {
    const path = [this.#field()];
    while (this.take('.')) path.push(this.#field());
    const operator = this.#operator();
    this.#match(SPACE);
    const at = this.#at;
    return { path, operator, value: operator === undefined ? '' : this.#value(operator), at };
  }

  /** Whether this comes next; if so, it is behind us. */
  take(separator: string): boolean {
    this.#match(SPACE);
    if (this.text[this.#at] !== separator) return false;
    this.#at++;
    return true;
  }

  end(): void {
    this.#match(SPACE);
    if (this.#at < this.text.length) this.#fail('expected "," and another selector, or the end');
  }

  #field(): string {
    this.#match(SPACE);
    if (this.text[this.#at] === '"') return this.#quoted();
    return this.#match(FIELD) ?? this.#fail('expected the name of a field, or one in double quotes');
  }

  #operator(): Selector['operator'] {
    this.#match(SPACE);
    const at = this.#at;
    const found = this.#match(OPERATOR);
    if (found === undefined || found === '==' || found === '!=' || found === '~=') return found;
    return this.#fail('expected one of the operators "==", "!=" and "~="', at);
  }

  #value(operator: '==' | '!=' | '~='): string {
    const next = this.text[this.#at];
    if (next === '"' || (operator === '~=' && (next === '/' || next === '|'))) return this.#quoted();
    return (
      this.#match(VALUE) ??
      this.#fail(
        'expected a value; one that begins with a sign, or has a comma or a space in it, goes in double quotes',
      )
    );
  }

  #quoted(): string {
    const start = this.#at;
    const quote = this.text[this.#at++]!;
    const parts: Buffer[] = [];
    for (;;) {
      const char = this.text[this.#at];
      if (char === undefined || char === '\n')
        return this.#fail(`the text that begins here has no ${quote} at its end`, start);
      if (char === quote) break;
      parts.push(char === '\\' ? this.#escape(quote) : this.#plain());
    }
    this.#at++;
    return Buffer.concat(parts).toString();
  }

  #plain(): Buffer {
    const char = String.fromCodePoint(this.text.codePointAt(this.#at)!);
    this.#at += char.length;
    return Buffer.from(char);
  }

  #escape(quote: string): Buffer {
    const start = this.#at;
    const kind = this.text[start + 1] ?? '';
    const illegal = (): never => this.#fail('this is no escape sequence that Go knows', start);
    const digits = (from: number, length: number, base: RegExp): string => {
      const found = this.text.slice(from, from + length);
      if (found.length < length || !base.test(found)) illegal();
      this.#at = from + length;
      return found;
    };
    const length = HEX_LENGTH[kind];
    if (length !== undefined) {
      const code = parseInt(digits(start + 2, length, /^[0-9a-f]+$/i), 16);
      if (code > 0x10ffff) illegal();
      return kind === 'x' ? Buffer.of(code) : Buffer.from(String.fromCodePoint(code));
    }
    if (kind >= '0' && kind <= '7') {
      const code = parseInt(digits(start + 1, 3, /^[0-7]+$/), 8);
      return code > 255 ? illegal() : Buffer.of(code);
    }
    this.#at = start + 2;
    if (kind === quote) return Buffer.from(quote);
    const code = ESCAPES[kind];
    return code === undefined ? illegal() : Buffer.of(code);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #fail(message: string, at = this.#at): never {
    throw filterError(this.text, at, message);
  }
}
