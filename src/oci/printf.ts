import { stringifyExact } from './json.js';

/** Go's `printf`, as far as templates use it: %s, %v, %q, %d, %t, %x, %f with width and precision. */
export function printf(form: string, values: readonly unknown[]): string {
  let next = 0;
  return form.replace(
    /%(-?)(\d*)(?:\.(\d+))?([svqdtxf%])/g,
    (_, left: string, width: string, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      const text = formatted(verb, values[next++], precision);
      return left ? text.padEnd(Number(width)) : text.padStart(Number(width));
    },
  );
}

function formatted(verb: string, value: unknown, precision: string | undefined): string {
  const text = typeof value === 'object' && value !== null ? stringifyExact(value) : String(value);
  switch (verb) {
    case 'q':
      return JSON.stringify(text);
    case 'd':
      return String(typeof value === 'bigint' ? value : Math.trunc(Number(value)));
    case 'x':
      return (typeof value === 'bigint' ? value : Number(value)).toString(16);
    case 'f':
      return Number(value).toFixed(precision === undefined ? 6 : Number(precision));
    default:
      return precision === undefined ? text : text.slice(0, Number(precision));
  }
}
