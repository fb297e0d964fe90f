/**
 * Runs test files one after the other: `suite.ts FILES…`. With HAWSER_TEST_AGAIN set, as in CI, up to that many files
 * that fail are run once more, alone, and what passed only then is named at the end: it is a defect to be looked at,
 * but one blink of a busy machine in a thousand tests does not hold up everything else. Why it failed then is added to the file
 * HAWSER_TEST_UNSTEADY, for who sees the end of a long run only.
 */
import { appendFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { inspect } from 'node:util';

/** A run's own sums, which come at its end. */
const SUMS = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/;

interface TestData {
  message?: string;
  name?: string;
  details?: { error?: Error };
}

function reasonOf({ name = '', details }: TestData): string {
  const error = details?.error;
  return `${name}: ${inspect(error?.cause ?? error)}`;
}

/** Why a test failed, for each file in which one did. Each has a run to itself: an event tells where a test was written, and that may be a helper's file. */
async function failedOf(files: readonly string[]): Promise<Map<string, string>> {
  const failed = new Map<string, string>();
  const sums = new Map<string, number>();
  const shown = new PassThrough({ objectMode: true });
  const reported = (async () => {
    for await (const text of shown.compose(new spec())) process.stdout.write(text as string);
  })();
  for (const file of files) {
    for await (const event of run({ files: [resolve(file)], concurrency: 1 })) {
      const { type, data } = event as { type: string; data: TestData };
      if (type === 'test:fail') failed.set(file, `${failed.get(file) ?? ''}${reasonOf(data)}\n`);
      const [, what, sum] = (type === 'test:diagnostic' && SUMS.exec(data.message ?? '')) || [];
      if (what === undefined) shown.write(event);
      else sums.set(what, (sums.get(what) ?? 0) + Number(sum));
    }
  }
  for (const [what, sum] of sums)
    shown.write({ type: 'test:diagnostic', data: { nesting: 0, message: `${what} ${sum}` } });
  shown.end();
  await reported;
  return failed;
}

const again = Number(process.env.HAWSER_TEST_AGAIN ?? 0);
const unsteady = process.env.HAWSER_TEST_UNSTEADY;
let failed = await failedOf(process.argv.slice(2));
if (failed.size > 0 && failed.size <= again) {
  const first = failed;
  const names = [...first.keys()].join(' ');
  console.log(`\nrunning again, alone: ${names}\n`);
  failed = await failedOf([...first.keys()]);
  if (failed.size === 0) console.log(`\nUNSTEADY, passed at the second run only: ${names}\n`);
  for (const [file, reasons] of first)
    if (unsteady && !failed.has(file)) appendFileSync(unsteady, `UNSTEADY: ${file}\n${reasons}`);
}
process.exitCode = failed.size > 0 ? 1 : 0;
