/**
 * Regular expressions of filters, which clients write for Go's RE2, as JavaScript's.
 *
 * Read as in Go: flags at the start `(?ims)`, named groups `(?P<n>…)`, `\A`, `\z`, `\Q…\E`, `[[:alpha:]]`, `\pL`, escaped punctuation. As in
 * JavaScript: flags in the middle need a Node that has them, `\s` and `\w` take what they take there, and time may grow with
 * the expression's nesting, while RE2's does not. Look-around and back-references, which RE2 lacks, are refused, so that
 * a filter means the same to both daemons.
 */
import { filterError } from './parse.js';

const POSIX: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7F',
  blank: '\\t ',
  cntrl: '\\x00-\\x1F\\x7F',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`\\{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
};

/** One piece of an expression that is to be looked at. */
const PIECE =
  /\\Q([\s\S]*?)(?:\\E|$)|\\([1-9])|\\([Az])|\\([pP][A-Z])|\\([!"#%&',:;<=>@_`~ -])|\[:(\^?)([a-z]+):\]|\(\?P<|\(\?<?[=!]|\\[\s\S]/g;

/** @throws InvalidArgument that shows the filter and the place where the expression begins */
export function compileRegex(source: string, filter: string, at: number): RegExp {
  const leading = /^\(\?([ims]+)\)/.exec(source);
  const flags = new Set(`u${leading?.[1] ?? ''}`);
  try {
    return new RegExp(translate(source.slice(leading?.[0].length ?? 0)), [...flags].join(''));
  } catch (error) {
    throw filterError(
      filter,
      at,
      `cannot read the regular expression ${JSON.stringify(source)}: ${(error as Error).message}`,
    );
  }
}

function translate(source: string): string {
  return source.replace(PIECE, (piece: string, ...groups: (string | undefined)[]) => {
    const [literal, backReference, anchor, property, sign, not, posix] = groups;
    if (literal !== undefined) return literal.replace(/[\^$\\.*+?()[\]{}|/]/g, '\\$&');
    if (backReference !== undefined) throw new Error('a back-reference cannot be used here');
    if (anchor !== undefined) return anchor === 'A' ? '(?<![\\s\\S])' : '(?![\\s\\S])';
    if (property !== undefined) return `\\${property[0]!}{${property.slice(1)}}`;
    // JavaScript takes only some signs with a backslash before them, and not everywhere.
    if (sign !== undefined) return `\\x${sign.charCodeAt(0).toString(16).padStart(2, '0')}`;
    if (posix !== undefined) {
      const range = POSIX[posix];
      if (range === undefined || not !== '') throw new Error(`no class of characters is called ${piece}`);
      return range;
    }
    if (piece === '(?P<') return '(?<';
    if (piece.startsWith('(')) throw new Error(`${piece} looks around, which cannot be used here`);
    return piece;
  });
}
