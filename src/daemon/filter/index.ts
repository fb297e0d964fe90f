/**
 * containerd's filter language, in which clients choose among containers, images, events and plugins:
 *
 *     filter   = selector ("," selector)*                    every selector must match
 *     selector = path (("==" | "!=" | "~=") value)?          without an operator: the field is there
 *     path     = field ("." field)*
 *     field    = [A-Za-z0-9_-]+ | "quoted"
 *     value    = [^\s,]+ | "quoted"                          after ~= also |quoted| and /quoted/
 *
 * Of several filters one must match; no filter, or an empty one, matches everything. Quoted text has Go's escapes. As in
 * containerd, an unquoted value cannot begin with a quote or a separator, `!=` also matches what is not there, and `~=` takes
 * what is not there for an empty text. Where containerd lets a regular expression that it cannot read match nothing, here it is
 * an error. How expressions are read: regex.ts.
 */
import { parse, type Selector } from './parse.js';
import { compileRegex } from './regex.js';

/** Reads a field of the thing in question by its path; undefined when it isn't there. */
export type Adapter = (path: readonly string[]) => string | undefined;
export type Filter = (adapt: Adapter) => boolean;

/**
 * Compiles filters once, for any number of things.
 *
 * @throws InvalidArgument, with the place in the filter, for one that cannot be read
 */
export function compileFilters(filters: readonly string[]): Filter {
  const alternatives = filters.map((text) =>
    text === '' ? [] : parse(text).map((selector) => compile(selector, text)),
  );
  if (alternatives.some((selectors) => selectors.length === 0) || alternatives.length === 0) return () => true;
  return (adapt) => alternatives.some((selectors) => selectors.every((selector) => selector(adapt)));
}

/** An adapter's answer for a plain field: an empty one counts as not there. */
export function field(value: string | null | undefined): string | undefined {
  return value === '' || value == null ? undefined : value;
}

/** An adapter's answer for a map such as labels: the rest of the path, dots and all, is one key, and an empty value is there. */
export function entry(
  map: Readonly<Record<string, string>> | null | undefined,
  path: readonly string[],
): string | undefined {
  const key = path.join('.');
  return map != null && Object.hasOwn(map, key) ? map[key] : undefined;
}

function compile({ path, operator, value, at }: Selector, text: string): Filter {
  switch (operator) {
    case undefined:
      return (adapt) => adapt(path) !== undefined;
    case '==':
      return (adapt) => adapt(path) === value;
    case '!=':
      return (adapt) => (adapt(path) ?? '') !== value;
    case '~=': {
      const regex = compileRegex(value, text, at);
      return (adapt) => regex.test(adapt(path) ?? '');
    }
  }
}
