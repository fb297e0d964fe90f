/**
 * How a protobuf message is made of what small files of the kernel's say at the moment (monitor/recipe.c): steps that are put together here once, and
 * followed as often as somebody asks, without JavaScript. Fields are protobuf's numbers. A field that would be zero is left out; a file that is not
 * there is an empty one.
 */
import { SysError } from './error.js';
import { native } from './native.js';

/** As enum step of monitor/recipe.h. */
const Step = {
  end: 1,
  message: 2,
  text: 3,
  in: 4,
  file: 5,
  number: 6,
  value: 7,
  packed: 8,
  if: 9,
  skip: 10,
  digits: 11,
  each: 12,
  name: 32,
  major: 33,
  minor: 34,
  device: 35,
  between: 36,
  last: 37,
  pair: 38,
  decimal: 39,
} as const;

/** As enum condition. */
const Condition = { text: 1, devices: 2 } as const;

/** As enum lines; those that are called something have that as their first word. */
const Lines = { named: 1, called: 2, ofDevices: 3, ofDevicesWithNumber: 4 } as const;

class Steps {
  protected readonly steps: number[] = [];

  protected step(step: number, field?: number, more: readonly number[] = [], text?: string): this {
    this.steps.push(step);
    if (field !== undefined) this.steps.push(...short(field));
    this.steps.push(...more);
    if (text !== undefined) {
      const bytes = Buffer.from(text);
      this.steps.push(...short(bytes.length), ...bytes);
    }
    return this;
  }

  /** @throws RangeError for one that is longer than what it is a part of can say */
  bytes(): Buffer {
    return Buffer.from(this.steps);
  }
}

/** What may be had from one line of a file. */
export class LineRecipe extends Steps {
  /** Its first word. */
  name(field: number): this {
    return this.step(Step.name, field);
  }

  /** The numbers of the device that is its first word, as in `8:16`; and where that device is found, if anywhere. */
  device(major: number, minor: number, path?: number): this {
    if (path !== undefined) this.step(Step.device, path);
    return this.step(Step.major, major).step(Step.minor, minor);
  }

  /** Its second word, where there is a third. */
  between(field: number): this {
    return this.step(Step.between, field);
  }

  /** Its last word, a number. */
  last(field: number): this {
    return this.step(Step.last, field);
  }

  /** The number in a word such as `rbytes=5`. */
  pair(field: number, key: string, bits: 32 | 64 = 64): this {
    return this.step(Step.pair, field, [bits], key);
  }

  /** The same with digits behind a point, as a double. */
  decimal(field: number, key: string): this {
    return this.step(Step.decimal, field, [], key);
  }
}

export class Recipe extends Steps {
  /** A message in a field, there also when there is nothing in it. */
  message(field: number, content: (inner: this) => void): this {
    this.step(Step.message, field);
    content(this);
    return this.step(Step.end);
  }

  text(field: number, text: string): this {
    return this.step(Step.text, field, [], text);
  }

  /** Where the files are that follow. */
  in(directory: string): this {
    return this.step(Step.in, undefined, [], directory);
  }

  /** What the following is about, up to the next one. */
  file(name: string): this {
    return this.step(Step.file, undefined, [], name);
  }

  /** The number that a file is. `max` is the greatest of 64 bits. */
  number(field: number, file: string): this {
    return this.file(file).step(Step.number, field);
  }

  /** The same, but `max` is no number. */
  digits(field: number, file: string): this {
    return this.file(file).step(Step.digits, field);
  }

  /** The number behind a word at the beginning of a line, times something. */
  value(field: number, key: string, factor = 1): this {
    return this.step(Step.value, field, [...short(factor & 0xffff), ...short(factor >>> 16)], key);
  }

  /** These words, in these fields. */
  values(keys: Readonly<Record<string, number>>): this {
    for (const [key, field] of Object.entries(keys)) this.value(field, key);
    return this;
  }

  /** All numbers of the file. */
  packed(field: number): this {
    return this.step(Step.packed, field);
  }

  /** Only when there is something in the file. */
  ifText(content: (inner: Recipe) => void): this {
    const inner = inside(content);
    return this.step(Step.if, undefined, [Condition.text, ...short(inner.length), ...inner]);
  }

  /** Depends on whether the file has a line about a device. */
  ifDevices(content: (inner: Recipe) => void, otherwise: (inner: Recipe) => void): this {
    const other = inside(otherwise);
    const inner = [...inside(content), Step.skip, ...short(other.length)];
    return this.step(Step.if, undefined, [Condition.devices, ...short(inner.length), ...inner, ...other]);
  }

  /** A message for each line of the file that is called so; or that has any name, or begins with a device, or has a number besides. */
  each(
    field: number,
    which: Exclude<keyof typeof Lines, 'called'> | { readonly called: string },
    content: (line: LineRecipe) => void,
  ): this {
    const line = new LineRecipe();
    content(line);
    const bytes = line.bytes();
    const [kind, name] = typeof which === 'string' ? [Lines[which], ''] : [Lines.called, which.called];
    this.step(Step.each, field, [kind], name);
    this.steps.push(...short(bytes.length), ...bytes);
    return this;
  }
}

function inside(content: (inner: Recipe) => void): Buffer {
  const inner = new Recipe();
  content(inner);
  return inner.bytes();
}

function short(value: number): [number, number] {
  if (value > 0xffff) throw new RangeError(`${value} is too much for a recipe`);
  return [value & 0xff, value >> 8];
}

/**
 * The message, as of now.
 *
 * @throws SysError when a file can't be read that is there
 */
export function cook(recipe: Uint8Array): Buffer {
  const result = native.recipeCook(recipe as Buffer);
  if (typeof result === 'number') throw new SysError(result, 'read', native.recipeFailed() || undefined);
  return result;
}
