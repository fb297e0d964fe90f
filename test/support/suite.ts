/**
 * Runs test files: `suite.ts FILES…`, one after the other, or in as many lanes as HAWSER_TEST_LANES says: most of them wait for
 * something most of the time. Those that look at the whole machine say so in their first lines (`Runs alone: why`) and come last,
 * with nothing beside them; what takes much longer than all others is begun first (`Begins first: why`). With HAWSER_TEST_AGAIN set, as in CI, up to that many files that fail are run once more, alone, and what
 * passed only then is named at the end: it is a defect to be looked at, but one blink of a busy machine in a thousand tests does not
 * hold up everything else. At its end it names the files that took the most seconds.
 */
import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { inspect } from 'node:util';
import { AGAIN, atTheEnd, FILE_MS, hasTimeFor, LANES } from './ci.js';

/** A run's own sums, which come at its end. */
const SUMS = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/;

/** What Node may take to end a file whose time is over. */
const GRACE_MS = 2000;

interface TestData {
  message?: string;
  name?: string;
  details?: { error?: Error };
}

function reasonOf({ name = '', details }: TestData): string {
  const error = details?.error;
  return `${name}: ${inspect(error?.cause ?? error)}`;
}

/** Lines in a file's first comment. */
const ALONE = /^ \* Runs alone: /m;
const FIRST = /^ \* Begins first: /m;
const comment = (file: string): string => readFileSync(file, 'utf8').slice(0, 2000);

/** Takes what comes of one file, and hands it on: at once where there is one lane, else when the file has ended. */
class Collected {
  readonly #events: object[] = [];

  constructor(
    private readonly shown: PassThrough,
    private readonly isLive: boolean,
  ) {}

  add(event: object): void {
    if (this.isLive) this.shown.write(event);
    else this.#events.push(event);
  }

  end(): void {
    for (const event of this.#events) this.shown.write(event);
  }
}

/** What came of some files. */
class Outcome {
  /** Why tests failed, for each file in which one did. */
  readonly failed = new Map<string, string>();
  readonly #sums = new Map<string, number>();
  readonly #seconds = new Map<string, number>();
  readonly #shown = new PassThrough({ objectMode: true });
  readonly #reported = (async () => {
    for await (const text of this.#shown.compose(new spec())) process.stdout.write(text as string);
  })();

  /** A file has a run to itself: an event tells where a test was written, and that may be a helper's file. */
  async run(file: string, isLive: boolean): Promise<void> {
    const since = performance.now();
    const collected = new Collected(this.#shown, isLive);
    const over = new AbortController();
    const events = run({ files: [resolve(file)], concurrency: 1, signal: over.signal });
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      // Its process is ended by that; but not waited for, as whoever it has started may hold its output.
      over.abort();
      setTimeout(() => events.destroy(), GRACE_MS);
    }, FILE_MS);
    try {
      for await (const event of events) {
        const known = event as { type: string; data: TestData };
        const { type, data } = known;
        if (type === 'test:fail') this.failed.set(file, `${this.failed.get(file) ?? ''}${reasonOf(data)}\n`);
        const [, what, sum] = (type === 'test:diagnostic' && SUMS.exec(data.message ?? '')) || [];
        if (what === undefined) collected.add(known);
        else this.#sums.set(what, (this.#sums.get(what) ?? 0) + Number(sum));
      }
    } catch (error) {
      if (!isLate) throw error;
    } finally {
      clearTimeout(late);
    }
    if (isLate) this.failed.set(file, `it timed out after ${FILE_MS / 60_000} minutes\n${this.failed.get(file) ?? ''}`);
    collected.end();
    this.#seconds.set(file, (performance.now() - since) / 1000);
  }

  async end(): Promise<void> {
    for (const [what, sum] of this.#sums)
      this.#shown.write({ type: 'test:diagnostic', data: { nesting: 0, message: `${what} ${sum}` } });
    this.#shown.end();
    await this.#reported;
    const slowest = [...this.#seconds].sort(([, one], [, other]) => other - one).slice(0, 8);
    const words = slowest.map(([file, seconds]) => `${basename(file, '.test.ts')} ${seconds.toFixed(0)}`);
    console.log(`seconds: ${words.join(', ')}`);
  }
}

async function failedOf(files: readonly string[], lanes: number): Promise<Map<string, string>> {
  const outcome = new Outcome();
  const alone = files.filter((file) => lanes === 1 || ALONE.test(comment(file)));
  const beside = files.filter((file) => !alone.includes(file));
  const first = beside.filter((file) => FIRST.test(comment(file)));
  const waiting = [...first, ...beside.filter((file) => !first.includes(file))];
  const lane = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await outcome.run(file, false);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  for (const file of alone) await outcome.run(file, true);
  await outcome.end();
  return outcome.failed;
}

/** What the files are, where there may be no time for them. */
const part = process.env.HAWSER_TEST_PART;
if (part !== undefined && !hasTimeFor(part, 8)) process.exit(0);
let failed = await failedOf(process.argv.slice(2), LANES);
if (failed.size > 0 && failed.size <= AGAIN) {
  const first = failed;
  const names = [...first.keys()].join(' ');
  console.log(`\nrunning again, alone: ${names}\n`);
  failed = await failedOf([...first.keys()], 1);
  if (failed.size === 0) console.log(`\nUNSTEADY, passed at the second run only: ${names}\n`);
  for (const [file, reasons] of first) if (!failed.has(file)) atTheEnd(`UNSTEADY: ${file}\n${reasons}`);
}
for (const [file, reasons] of failed) atTheEnd(`FAILED: ${file}\n${reasons}`);
// At once: what a file that was ended has left may hold its output for ever.
process.exit(failed.size > 0 ? 1 : 0);
