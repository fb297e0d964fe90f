import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Acceptor } from '../../src/shim/program/accept.js';
import { listenAt, type Listening } from '../../src/shim/program/listen.js';
import { listenUnix } from '../../src/sys/index.js';
import { tempDir } from './fixtures/support.js';

async function listening(t: TestContext, path: string): Promise<Listening> {
  const result = await listenAt(path);
  assert.notEqual(result, 'taken');
  const found = result as Listening;
  t.after(() => closeSync(found.fd));
  return found;
}

function connects(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

test('bug 40: a socket for us alone, in a directory for us alone', async (t) => {
  const path = join(tempDir(t), 'a', 'b', 's');
  const { path: found } = await listening(t, path);
  assert.equal(found, path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  assert.equal(await connects(path), true);
});

test('all that wait are accepted in one turn, and can be talked with', async (t) => {
  const path = join(tempDir(t), 's');
  const { fd } = (await listenAt(path)) as Listening;
  const accepted: Socket[] = [];
  const inOneTurn = new Promise<number>((resolve) => {
    const acceptor = new Acceptor(
      fd,
      (connection) => {
        const socket = new Socket({ fd: connection, readable: true, writable: true });
        if (accepted.push(socket) === 1) setImmediate(() => resolve(accepted.length));
        socket.pipe(socket);
      },
      assert.ifError,
    );
    t.after(() => acceptor.close());
  });
  const clients = Array.from({ length: 20 }, () => connect(path));
  t.after(() => {
    for (const socket of [...clients, ...accepted]) socket.destroy();
  });
  assert.equal(await inOneTurn, clients.length);
  await Promise.all(
    clients.map(async (client, i) => {
      client.write(`hello ${i}`);
      const [answer] = (await once(client, 'data')) as [Buffer];
      assert.equal(answer.toString(), `hello ${i}`);
    }),
  );
});

test('the umask is what it was', async (t) => {
  const before = process.umask();
  await listening(t, join(tempDir(t), 's'));
  assert.equal(process.umask(), before);
});

test('one that lives is left alone', async (t) => {
  const path = join(tempDir(t), 's');
  await listening(t, path);
  const { ino } = statSync(path);
  assert.equal(await listenAt(path), 'taken');
  assert.equal(statSync(path).ino, ino);
  assert.equal(await connects(path), true);
});

test('what a dead one left is replaced', async (t) => {
  const path = join(tempDir(t), 's');
  closeSync(listenUnix(path));
  assert.ok(existsSync(path));
  // So did one that was killed while it replaced another's.
  writeFileSync(`${path}.lock`, '');
  await listening(t, path);
  assert.equal(await connects(path), true);
  assert.deepEqual(readdirSync(dirname(path)), ['s']);
});

test('two who start at once: one listens, the other finds it', async (t) => {
  const path = join(tempDir(t), 's');
  closeSync(listenUnix(path));
  const results = await Promise.all([listenAt(path), listenAt(path), listenAt(path)]);
  for (const result of results) if (result !== 'taken') t.after(() => closeSync(result.fd));
  assert.ok(results.some((result) => result !== 'taken'));
  assert.equal(await connects(path), true);
});

test('two who find a dead one’s socket at once: only one of them listens', async (t) => {
  const path = join(tempDir(t), 's');
  closeSync(listenUnix(path));
  const results = await Promise.all([listenAt(path), listenAt(path), listenAt(path)]);
  for (const result of results) if (result !== 'taken') t.after(() => closeSync(result.fd));
  assert.equal(results.filter((result) => result !== 'taken').length, 1);
});

test('something else at the path is an error or replaced, never taken for a shim', async (t) => {
  const path = join(tempDir(t), 's');
  mkdirSync(path);
  await assert.rejects(listenAt(path));
  const below = join(tempDir(t), 'file');
  writeFileSync(below, '');
  await assert.rejects(listenAt(join(below, 's')));
});

test('unlinking removes our socket, once, and not another’s', async (t) => {
  const path = join(tempDir(t), 's');
  const first = await listening(t, path);
  first.unlink();
  assert.equal(existsSync(path), false);
  first.unlink();
  const second = await listening(t, path);
  first.unlink();
  assert.equal(await connects(path), true);
  second.unlink();
  assert.equal(existsSync(path), false);
});
