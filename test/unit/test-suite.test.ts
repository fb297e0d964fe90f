/** What runs our tests: lanes, files that run alone, second tries, and what is said at the end. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SUITE = fileURLToPath(new URL('../support/suite.ts', import.meta.url));
const CI = fileURLToPath(new URL('../support/ci.ts', import.meta.url));
let dir: string;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'hawser-suite-'));
});
after(() => rmSync(dir, { recursive: true }));

/** A file with one test. */
function file(name: string, body: string, comment = ''): string {
  const path = join(dir, `${name}.test.mjs`);
  writeFileSync(
    path,
    `/**${comment}\n */\nimport fs from 'node:fs';\nimport test from 'node:test';\n
const started = (name) => fs.writeFileSync(${JSON.stringify(dir)} + '/' + name, '');
const isThere = (name) => fs.existsSync(${JSON.stringify(dir)} + '/' + name);
const comes = async (name) => {
  for (let n = 0; !isThere(name); n++) {
    if (n === 2000) throw new Error(name + ' does not come');
    await new Promise((go) => setTimeout(go, 5));
  }
};
test('${name}', async () => { ${body} });\n`,
  );
  return path;
}

interface Ended {
  status: number;
  output: string;
  notes: string;
}

const suite = (files: readonly string[], env: Record<string, string>): Promise<Ended> => ran([SUITE, ...files], env);

function ran(words: readonly string[], env: Record<string, string>): Promise<Ended> {
  const notes = join(dir, 'notes');
  rmSync(notes, { force: true });
  // A runner beneath a runner would take the outer one's words.
  const { NODE_TEST_CONTEXT: _, HAWSER_TEST_AGAIN: __, HAWSER_TEST_UNTIL: ___, ...rest } = process.env;
  return new Promise((resolve) =>
    execFile(
      process.execPath,
      ['--import', 'tsx', ...words],
      { env: { ...rest, ...env, HAWSER_TEST_NOTES: notes } },
      (error, output) => {
        let said = '';
        try {
          said = readFileSync(notes, 'utf8');
        } catch (missing) {
          if ((missing as NodeJS.ErrnoException).code !== 'ENOENT') throw missing;
        }
        resolve({ status: error ? Number(error.code) : 0, output, notes: said });
      },
    ),
  );
}

test('two lanes run two files at once, each shown whole', { timeout: 60_000 }, async () => {
  const one = file('one', "started('one'); await comes('two');");
  const two = file('two', "started('two'); await comes('one');");
  const { status, output } = await suite([one, two], { HAWSER_TEST_LANES: '2' });
  assert.equal(status, 0, output);
  assert.match(output, /✔ one/);
  assert.match(output, /✔ two/);
  assert.match(output, /^ℹ pass 2$/m);
  assert.match(output, /^seconds: .*(one|two)/m);
});

test('what runs alone comes last, with nothing beside it', { timeout: 60_000 }, async () => {
  const alone = file(
    'alone',
    "if (!isThere('short') || !isThere('long')) throw new Error('too early');",
    '\n * Runs alone: so it is.',
  );
  const short = file('short-one', "started('short');");
  const long = file('long-one', "await new Promise((go) => setTimeout(go, 300)); started('long');");
  const { status, output } = await suite([alone, short, long], { HAWSER_TEST_LANES: '2' });
  assert.equal(status, 0, output);
});

test('what begins first does so', { timeout: 60_000 }, async () => {
  const waits = [1, 2].map((n) => file(`waits-${n}`, "await comes('the-first');"));
  const first = file('first', "started('the-first');", '\n * Begins first: so it is.');
  const { status, output } = await suite([...waits, first], { HAWSER_TEST_LANES: '2' });
  assert.equal(status, 0, output);
});

test(
  'a second try is named at the end, with why the first failed; what fails again is a failure',
  { timeout: 60_000 },
  async () => {
    const unsteady = file('unsteady', "if (!isThere('tried')) { started('tried'); throw new Error('a blink'); }");
    const second = await suite([unsteady], { HAWSER_TEST_LANES: '2', HAWSER_TEST_AGAIN: '1' });
    assert.equal(second.status, 0, second.output);
    assert.match(second.output, /UNSTEADY/);
    assert.match(second.notes, /^UNSTEADY: .*unsteady\.test\.mjs\n.*a blink/);

    const broken = file('broken', "throw new Error('no luck');");
    const failed = await suite([broken], { HAWSER_TEST_AGAIN: '1' });
    assert.equal(failed.status, 1);
    assert.match(failed.notes, /^FAILED: .*broken\.test\.mjs\n.*no luck/);
    assert.equal((await suite([broken], {})).status, 1, 'without a second try');
  },
);

test('one that hangs is ended, whoever still holds its output, and is a failure', { timeout: 60_000 }, async () => {
  // Until this file's directory goes.
  const stays = JSON.stringify(['-c', `while [ -d ${dir} ]; do sleep 1; done`]);
  const hangs = file(
    'hangs',
    `(await import('node:child_process')).spawn('sh', ${stays}, { stdio: 'inherit' }); await new Promise(() => setInterval(() => {}, 1000));`,
  );
  const next = file('next', '');
  const { status, output, notes } = await suite([hangs, next], { HAWSER_TEST_FILE_MINUTES: '0.05' });
  assert.equal(status, 1, output);
  assert.match(output, /✔ next/);
  assert.match(notes, /^FAILED: .*hangs\.test\.mjs\n.*timed out/);
});

test('what there is no time for is said, and else nothing', { timeout: 60_000 }, async () => {
  const program = join(dir, 'ask.mjs');
  writeFileSync(program, `import { hasTimeFor } from ${JSON.stringify(CI)};\nconsole.log(hasTimeFor('much', 10));\n`);
  const ask = (minutes: number): Promise<Ended> =>
    ran([program], { HAWSER_TEST_UNTIL: `${Date.now() / 1000 + minutes * 60}` });
  assert.deepEqual(await ask(12), { status: 0, output: 'true\n', notes: '' });
  assert.deepEqual(await ask(8), { status: 0, output: 'false\n', notes: 'NOT TESTED, for want of time: much\n' });
  assert.equal((await ran([program], {})).output, 'true\n', 'where nobody has said how much time there is');
});
