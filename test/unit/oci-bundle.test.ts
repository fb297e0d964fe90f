import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  closeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Bundle, readPidFile, tryReadPidFile, writeAtomic } from '../../src/oci/bundle.js';
import { replaceFile } from '../../src/sys/index.js';
import { tempDir } from './fixtures/support.js';

const modeOf = (file: string): number => statSync(file).mode & 0o777;

test('the names of things', () => {
  const bundle = new Bundle('/run/b');
  assert.deepEqual(
    [bundle.path, bundle.rootfs, bundle.log, bundle.work, bundle.shimLog, bundle.initPid, bundle.execPid('e1')],
    ['/run/b', '/run/b/rootfs', '/run/b/log.json', '/run/b/work', '/run/b/log', '/run/b/init.pid', '/run/b/e1.pid'],
  );
});

test('address: as containerd reads it, for everybody to read', (t) => {
  const dir = tempDir(t);
  new Bundle(dir).writeAddress('unix:///run/containerd/s/abc');
  assert.equal(readFileSync(join(dir, 'address'), 'utf8'), 'unix:///run/containerd/s/abc', 'no newline');
  assert.equal(modeOf(join(dir, 'address')), 0o644);
});

test('options.json and runtime: for root only', (t) => {
  const dir = tempDir(t);
  const bundle = new Bundle(dir);
  bundle.writeOptions({ root: '/run/x', systemd_cgroup: true });
  bundle.writeRuntime('crun');
  assert.equal(readFileSync(join(dir, 'options.json'), 'utf8'), '{"root":"/run/x","systemd_cgroup":true}');
  assert.equal(readFileSync(join(dir, 'runtime'), 'utf8'), 'crun');
  assert.deepEqual(
    ['options.json', 'runtime'].map((name) => modeOf(join(dir, name))),
    [0o600, 0o600],
  );
  assert.deepEqual(bundle.tryOptions(), { root: '/run/x', systemd_cgroup: true });
  assert.equal(bundle.tryRuntime(), 'crun');
});

test('what another shim wrote is read too', (t) => {
  const dir = tempDir(t);
  const bundle = new Bundle(dir);
  writeFileSync(join(dir, 'runtime'), 'runc\n');
  writeFileSync(join(dir, 'options.json'), '{ "root": "/r" }\n');
  assert.equal(bundle.tryRuntime(), 'runc');
  assert.deepEqual(bundle.tryOptions(), { root: '/r' });
  writeFileSync(join(dir, 'options.json'), 'null');
  assert.equal(bundle.tryOptions(), undefined);
});

test('files that are missing are undefined, and broken ones an error', (t) => {
  const dir = tempDir(t);
  const bundle = new Bundle(dir);
  assert.deepEqual([bundle.tryOptions(), bundle.tryRuntime(), bundle.tryExit()], [undefined, undefined, undefined]);
  writeFileSync(join(dir, 'options.json'), '{"root":');
  assert.throws(() => bundle.tryOptions(), SyntaxError);
  mkdirSync(join(dir, 'runtime'));
  assert.throws(() => bundle.tryRuntime(), { code: 'EISDIR' });
});

test('the exit of a container is kept, and can be forgotten', (t) => {
  const dir = tempDir(t);
  const bundle = new Bundle(dir);
  bundle.writeExit({ pid: 12, status: 137, exitedAt: 1_700_000_000_123 });
  assert.deepEqual(bundle.tryExit(), { pid: 12, status: 137, exitedAt: 1_700_000_000_123 });
  assert.equal(modeOf(join(dir, 'exit.json')), 0o600);
  bundle.removeEnd();
  assert.equal(bundle.tryExit(), undefined);
  bundle.removeEnd();
});

test('the spec is read as it is; a broken one names the file', (t) => {
  const dir = tempDir(t);
  const bundle = new Bundle(dir);
  assert.throws(() => bundle.spec(), { code: 'ENOENT' });
  writeFileSync(join(dir, 'config.json'), '{"annotations":{"a":"b"}}');
  assert.deepEqual(bundle.spec(), { annotations: { a: 'b' } });
  writeFileSync(join(dir, 'config.json'), '{');
  assert.throws(
    () => bundle.spec(),
    (error: Error) => error.message.startsWith(`${join(dir, 'config.json')} is not valid JSON: `),
  );
});

test('a file is kept when there is one', (t) => {
  const dir = tempDir(t);
  const bundle = new Bundle(dir);
  bundle.keepFile(join(dir, 'missing'), join(dir, 'kept'));
  assert.equal(existsSync(join(dir, 'kept')), false);
  writeFileSync(join(dir, 'dump.log'), 'why');
  bundle.keepFile(join(dir, 'dump.log'), join(dir, 'kept'));
  assert.equal(readFileSync(join(dir, 'kept'), 'utf8'), 'why');
});

for (const [how, replace] of Object.entries({ writeAtomic, replaceFile })) {
  test(`a file is replaced as a whole by ${how}: who has the old one open keeps it, and nothing is left beside it`, (t) => {
    const dir = tempDir(t);
    const file = join(dir, 'f');
    replace(file, 'the old content', 0o600);
    const old = openSync(file, 'r');
    replace(file, 'new', 0o640);
    const buffer = Buffer.alloc(100);
    assert.equal(buffer.toString('utf8', 0, readSync(old, buffer)), 'the old content');
    closeSync(old);
    assert.equal(readFileSync(file, 'utf8'), 'new');
    assert.equal(modeOf(file), 0o640, 'the new mode, not that of the old file');
    assert.deepEqual(readdirSync(dir), ['f']);
  });
}

test('a file that cannot be replaced is as it was, and nothing is left beside it', (t) => {
  const dir = tempDir(t);
  assert.throws(() => replaceFile(dir, 'x', 0o600), { code: 'EISDIR' });
  assert.throws(() => replaceFile(join(dir, 'none', 'f'), 'x', 0o600), { code: 'ENOENT' });
  assert.deepEqual(
    readdirSync(join(dir, '..')).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('a pid file holds a decimal number and nothing else', (t) => {
  const file = join(tempDir(t), 'init.pid');
  for (const [content, pid] of [
    ['1', 1],
    ['4194304', 4194304],
    ['12\n', 12],
  ] as const) {
    writeFileSync(file, content);
    assert.equal(readPidFile(file), pid);
    assert.equal(tryReadPidFile(file), pid);
  }
  for (const content of ['', ' 12', '-1', '0x10', '12 13', '1.5', '1e3', '12a', 'abc', '\n', '+5']) {
    writeFileSync(file, content);
    assert.throws(
      () => readPidFile(file),
      (error: Error) => error.message === `${file} holds no pid but ${JSON.stringify(content)}`,
      JSON.stringify(content),
    );
    assert.equal(tryReadPidFile(file), undefined, JSON.stringify(content));
  }
});

test('a pid file that is missing', (t) => {
  const file = join(tempDir(t), 'init.pid');
  assert.throws(() => readPidFile(file), { code: 'ENOENT' });
  assert.equal(tryReadPidFile(file), undefined);
});

test('the text of a bad pid file is shown, but not all of a long one', (t) => {
  const file = join(tempDir(t), 'init.pid');
  writeFileSync(file, 'x'.repeat(1000));
  assert.throws(
    () => readPidFile(file),
    (error: Error) => error.message.endsWith(`"${'x'.repeat(40)}"`),
  );
});

test('an exec that is called init does not take the pid file of the init', () => {
  const bundle = new Bundle('/b');
  assert.equal(bundle.execPid('e'), '/b/e.pid');
  assert.notEqual(bundle.execPid('init'), bundle.initPid);
});
