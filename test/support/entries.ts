/** Logs of entries, as kubelet reads them, taken apart strictly. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

const ENTRY = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([FP]) ([^]*)$/;

export interface Entry {
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  readonly tag: 'F' | 'P';
  readonly content: string;
}

/** One byte is one character. @throws AssertionError when something there is no whole entry */
export function entriesIn(text: string): Entry[] {
  if (text === '') return [];
  const lines = text.split('\n');
  assert.equal(lines.pop(), '', 'the log ends with a whole entry');
  return lines.map((line) => {
    const [, time = '', stream, tag, content = ''] = ENTRY.exec(line) ?? [];
    assert.ok(stream && tag, `no entry: ${JSON.stringify(line.slice(0, 100))}`);
    return { time, stream: stream as 'stdout', tag: tag as 'F', content };
  });
}

/** A log file and what became of it, the oldest first. */
export function logParts(path: string): string[] {
  const older: string[] = [];
  for (let n = 1; existsSync(`${path}.${n}`); n++) older.unshift(readFileSync(`${path}.${n}`, 'latin1'));
  return [...older, existsSync(path) ? readFileSync(path, 'latin1') : ''];
}

/** What was printed to one stream, byte for byte. */
export function printed(entries: readonly Entry[], stream: 'stdout' | 'stderr' = 'stdout'): string {
  return entries
    .filter((entry) => entry.stream === stream)
    .map(({ tag, content }) => (tag === 'F' ? `${content}\n` : content))
    .join('');
}
