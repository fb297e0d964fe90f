/** The one program under our shim and authors': who is asked for what, and what is said of it. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { dispatch, type Program } from '../../src/shim/program/dispatch.js';
import { usage } from '../../src/shim/program/flags.js';

const NAMED = ['-namespace', 'n', '-id', 'c'];

/** Runs a program with these arguments: its status, and what was done and said, in its order. */
async function run(args: readonly string[], own: Partial<Program> = {}): Promise<[number, ...string[]]> {
  const done: string[] = [];
  const status = await dispatch(
    {
      name: 'a-shim',
      version: '1.2',
      origin: () => 'Library: /lib',
      noNamespace: 'no namespace',
      failure: (message, action) => `a-shim: ${message} (${action})`,
      async reply(code, text) {
        await Promise.resolve();
        done.push(`reply ${code} ${Buffer.from(text).toString()}`);
      },
      warn: (text) => done.push(`warn ${text}`),
      info: () => Promise.resolve(Buffer.from('info')),
      start: ({ id }) => Promise.resolve(void done.push(`start ${id}`)),
      delete: ({ id }) => Promise.resolve(Buffer.from(`deleted ${id}`)),
      serve: ({ id }) => Promise.resolve(void done.push(`serve ${id}`)),
      ...own,
    },
    args,
  );
  return [status, ...done];
}

/** The delete action leaves its mark on the process. */
function keepSignals(t: TestContext): void {
  const signals = ['SIGTERM', 'SIGINT', 'SIGPIPE'] as const;
  const before = signals.map((signal) => process.listeners(signal));
  t.after(() => {
    for (const [at, signal] of signals.entries())
      for (const listener of process.listeners(signal))
        if (!before[at]!.includes(listener)) process.off(signal, listener);
  });
}

test('start replies by itself; any action that has no meaning serves', async () => {
  assert.deepEqual(await run([...NAMED, 'start']), [0, 'start c']);
  assert.deepEqual(await run(NAMED), [0, 'serve c']);
  assert.deepEqual(await run([...NAMED, 'else']), [0, 'serve c']);
});

test('delete warns, then answers, and is not ended by signals', async (t) => {
  keepSignals(t);
  const before = process.listenerCount('SIGTERM');
  const own: Partial<Program> = {
    delete(_, warn) {
      assert.equal(process.listenerCount('SIGTERM'), before + 1);
      for (const text of ['one', 'two']) warn(text);
      return Promise.resolve(Buffer.from('deleted'));
    },
  };
  assert.deepEqual(await run([...NAMED, 'delete'], own), [0, 'warn one\ntwo\n', 'reply 0 deleted']);
  assert.deepEqual(await run([...NAMED, 'delete']), [0, 'reply 0 deleted c'], 'without a warning nothing is said');
});

test('help and the version need no namespace; a command line that is none is answered with the usage', async () => {
  assert.deepEqual(await run(['-h', '-nonsense']), [0, `reply 0 ${usage('a-shim')}`]);
  const node = `  Node version: ${process.version}\n`;
  assert.deepEqual(await run(['-v']), [0, `reply 0 a-shim:\n  Version:  1.2\n${node}  Library: /lib\n\n`]);
  assert.deepEqual(await run(['-v'], { revision: 'abc' }), [
    0,
    `reply 0 a-shim:\n  Version:  1.2\n  Revision: abc\n${node}  Library: /lib\n\n`,
  ]);
  assert.deepEqual(await run(['-nonsense']), [
    2,
    `reply 2 flag provided but not defined: -nonsense\n${usage('a-shim')}`,
  ]);
});

test('what fails is said in the words of the program', async () => {
  assert.deepEqual(await run(['start']), [1, 'reply 1 a-shim: no namespace (start)']);
  const own = { start: () => Promise.reject(new Error('no room')) };
  assert.deepEqual(await run([...NAMED, 'start'], own), [1, 'reply 1 a-shim: no room (start)']);
});
