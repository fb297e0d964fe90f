import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Database } from '../../src/daemon/db/database.js';
import { rounds } from '../support/eventually.js';
import { failure, openRecords, workDirectory } from '../support/records.js';

test('a write that throws changes nothing, and others go on', async (t) => {
  const { db } = openRecords(t);
  const before = db.write(() => db.put(['t', 'a'], Buffer.from('1')));
  const wrong = db.write(() => {
    throw new Error('no');
  });
  const after = db.write(() => db.put(['t', 'b'], Buffer.from('2')));
  await before;
  await assert.rejects(wrong, { message: 'no' });
  await after;
  assert.deepEqual(
    db.range(['t']).map(({ key, value }) => `${key.join('/')}=${value.toString()}`),
    ['t/a=1', 't/b=2'],
  );
  assert.throws(() => db.put(['t', 'c'], Buffer.from('3')), { message: 'a record is changed outside of a write' });
});

test('a read sees what was acknowledged, in the same turn too', async (t) => {
  const { db } = openRecords(t);
  for (let n = 0; n < 50; n++) {
    assert.equal(db.get(['t', 'n'])?.toString(), n === 0 ? undefined : String(n - 1));
    await db.write(() => db.put(['t', 'n'], Buffer.from(String(n))));
    assert.equal(db.get(['t', 'n'])!.toString(), String(n));
  }
});

test('keys that begin alike do not mix', async (t) => {
  const { db } = openRecords(t);
  await db.write(() => {
    for (const key of [
      ['t', 'a', 'x'],
      ['t', 'a', ''],
      ['t', 'ab', 'y'],
      ['t', 'a b'],
      ['ta', 'a'],
    ])
      db.put(key, Buffer.from('1'));
  });
  assert.deepEqual(
    db.range(['t', 'a']).map(({ key }) => key),
    [
      ['t', 'a', ''],
      ['t', 'a', 'x'],
    ],
  );
  await assert.rejects(
    db.write(() => db.put(['t', 'x'.repeat(2000)], Buffer.from('1'))),
    /has more than 1900 bytes/,
  );
  await assert.rejects(
    db.write(() => db.put(['t', 'x\0y'], Buffer.from('1'))),
    /must not have a NUL/,
  );
});

test('a file that is no database is named', () => {
  const file = join(workDirectory(), 'meta.mdb');
  writeFileSync(file, 'x'.repeat(8192));
  assert.throws(
    () => new Database(file),
    failure(
      `cannot open the metadata database ${file}: it is not an LMDB database; move it away to start with an empty one`,
    ),
  );
});

/** Of what the fixture writes: when it was, in numbers that grow. */
function timeOf(value: string): number {
  const [, round, n] = /^(\d+)\.(\d+)\./.exec(value) ?? [];
  return Number(round ?? -1) * 1e6 + Number(n ?? 0);
}

test('what was acknowledged is there after SIGKILL at any moment', { timeout: 120_000 }, async () => {
  const file = join(workDirectory(), 'meta.mdb');
  const acknowledged = new Map<string, string>();
  for (let round = 0; round < rounds(8); round++) {
    const writer = fork(fileURLToPath(new URL('fixtures/writer.ts', import.meta.url)), [file, String(round)], {
      stdio: 'inherit',
      execArgv: ['--import', 'tsx'],
    });
    const enough = new Promise<void>((resolve) => {
      let count = 0;
      writer.on('message', ([key, value]: [string, string]) => {
        acknowledged.set(key, value);
        // Now and then in the midst of the first writes, at other times later.
        if (++count > round * 11) resolve();
      });
    });
    await enough;
    writer.kill('SIGKILL');
    await once(writer, 'close');
    const db = new Database(file);
    for (const [key, value] of acknowledged) {
      const found = db.get(['t', key])?.toString() ?? '';
      // Its writer may have been killed when a later one was written, and not acknowledged.
      assert.ok(found === value || timeOf(found) > timeOf(value), `${key} in round ${round}: ${found} for ${value}`);
    }
    await db.close();
  }
});
