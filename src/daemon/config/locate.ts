/** Where in a TOML text a key stands, which the parser does not tell. */

const BARE = String.raw`[\w-]+`;
const QUOTED = String.raw`"(?:[^"\\]|\\.)*"|'[^']*'`;
const KEY = String.raw`(?:${BARE}|${QUOTED})(?:\s*\.\s*(?:${BARE}|${QUOTED}))*`;
const HEADER = new RegExp(String.raw`^(\s*\[\[?\s*)(${KEY})\s*\]`);
const ASSIGNMENT = new RegExp(String.raw`^(\s*)(${KEY})\s*=`);
const PART = new RegExp(`${BARE}|${QUOTED}`, 'g');

function parts(key: string): string[] {
  return (key.match(PART) ?? []).map((part) =>
    part.startsWith('"') ? (JSON.parse(part) as string) : part.startsWith("'") ? part.slice(1, -1) : part,
  );
}

const begins = (path: readonly string[], start: readonly string[]): boolean =>
  start.every((part, i) => path[i] === part);

/**
 * Line and column, from 1, of a key by its path; of the nearest thing around it, when it stands in an inline table that goes over
 * lines. Good enough to find the place for a person: texts of many lines are taken for what they look like.
 */
export function locate(text: string, path: readonly string[]): { line: number; column: number } {
  let table: string[] = [];
  let best = { line: 1, column: 1, length: -1 };
  for (const [i, line] of text.split('\n').entries()) {
    const header = HEADER.exec(line);
    const found = header ?? ASSIGNMENT.exec(line);
    if (found === null) continue;
    if (header !== null) table = parts(header[2]!);
    const full = header !== null ? table : [...table, ...parts(found[2]!)];
    if (begins(full, path)) return { line: i + 1, column: found[1]!.length + 1 };
    if (!begins(path, full) || full.length <= best.length) continue;
    const inner = path
      .slice(full.length)
      .map((part) => line.indexOf(part, found[0].length))
      .filter((at) => at >= 0)
      .pop();
    best = { line: i + 1, column: (inner ?? found[1]!.length) + 1, length: full.length };
  }
  return { line: best.line, column: best.column };
}
