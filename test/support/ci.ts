/** What a run of CI asks of the suites, by its environment; other runs are asked nothing. See .ci/run. */
import { appendFileSync } from 'node:fs';

/** So many files, or cells, that fail are run once more. */
export const AGAIN = Number(process.env.HAWSER_TEST_AGAIN ?? 0);

/** So many files run at once. */
export const LANES = Number(process.env.HAWSER_TEST_LANES ?? 1);

/** What one file may take, in milliseconds: the longest takes some minutes, and one that hangs must not take along all that follows. */
export const FILE_MS = Number(process.env.HAWSER_TEST_FILE_MINUTES ?? 20) * 60_000;

/** Seconds since 1970. */
const until = Number(process.env.HAWSER_TEST_UNTIL ?? Infinity);

/** Adds to what is shown at the very end, for who sees the end of a long run only. */
export function atTheEnd(text: string): void {
  const file = process.env.HAWSER_TEST_NOTES;
  if (file) appendFileSync(file, `${text}\n`);
}

/** Seconds until all must be done: infinitely many, where nobody has said it. */
export const secondsLeft = (): number => until - Date.now() / 1000;

/** Whether what takes so many minutes on a slow machine can be begun; what cannot is named, here and at the end. */
export function hasTimeFor(what: string, minutes: number): boolean {
  if (minutes * 60 <= secondsLeft()) return true;
  const sentence = `NOT TESTED, for want of time: ${what}`;
  console.error(sentence);
  atTheEnd(sentence);
  return false;
}
