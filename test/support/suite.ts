/**
 * Runs test files one after the other: `suite.ts FILES…`. With HAWSER_TEST_AGAIN set, as in CI, up to that many files
 * that fail are run once more, alone, and what passed only then is named at the end: it is a defect to be looked at,
 * but one blink of a busy machine in a thousand tests does not hold up everything else.
 */
import { resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** The files in which a test failed. */
async function failedOf(files: readonly string[]): Promise<string[]> {
  const failed = new Set<string>();
  const events = run({ files: files.map((file) => resolve(file)), concurrency: 1 });
  // Where a test's own place isn't told, its name is the file's.
  events.on('test:fail', ({ file, name }) => void failed.add(file ?? name));
  for await (const text of events.compose(new spec())) process.stdout.write(text as string);
  return [...failed];
}

const again = Number(process.env.HAWSER_TEST_AGAIN ?? 0);
let failed = await failedOf(process.argv.slice(2));
if (failed.length > 0 && failed.length <= again) {
  const first = failed.join(' ');
  console.log(`\nrunning again, alone: ${first}\n`);
  failed = await failedOf(failed);
  if (failed.length === 0) console.log(`\nUNSTEADY, passed at the second run only: ${first}\n`);
}
process.exitCode = failed.length > 0 ? 1 : 0;
