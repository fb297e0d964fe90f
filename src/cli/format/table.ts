/** Tables in docker's form: columns three blanks apart, no lines. */

/** The rows below their headings, every line with an end. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  return align([headings, ...rows]);
}

/** Lines whose fields stand below each other. */
export function align(lines: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const line of lines)
    line.forEach((field, i) => {
      widths[i] = Math.max(widths[i] ?? 0, width(field));
    });
  return lines
    .map(
      (line) =>
        `${line
          .map((field, i) => (i === line.length - 1 ? field : field + ' '.repeat(widths[i]! - width(field) + 3)))
          .join('')
          .trimEnd()}\n`,
    )
    .join('');
}

/** Columns that a text takes on a terminal; escape sequences take none. */
export function width(text: string): number {
  return [...text.replace(/\x1b\[[\d;]*m/g, '')].length;
}

/** Cut to so many columns, with an ellipsis for what is missing. */
export function shorten(text: string, columns: number): string {
  const letters = [...text];
  return letters.length <= columns ? text : `${letters.slice(0, columns - 1).join('')}…`;
}

/** What cannot be shown on one line of a terminal is shown as Go would write it. */
export function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f]/g, (letter) => JSON.stringify(letter).slice(1, -1));
}
