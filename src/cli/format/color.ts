/** Colours: on a terminal only, and not for those who have said NO_COLOR (no-color.org). */

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 } as const;
export type Color = keyof typeof CODES;

/** True when what is written to a stream may have colours. */
export function hasColors(stream: { isTTY?: boolean } = process.stdout): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
}

export function paint(color: Color, text: string, stream?: { isTTY?: boolean }): string {
  return hasColors(stream) ? `\x1b[${CODES[color]}m${text}\x1b[0m` : text;
}
