/** Parts of the command line that need no daemon: keys, mounts, logs, traces. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { DetachScanner, parseDetachKeys } from '../../src/cli/terminal/detach-keys.js';
import { mount, mountOptions, tmpfs, volume } from '../../src/cli/options/mounts.js';
import { environment } from '../../src/cli/options/environment.js';
import { logPathOf, logTarget } from '../../src/cli/options/log.js';
import type { CliError } from '../../src/cli/errors.js';
import { startFailure } from '../../src/cli/explain.js';
import { ClientError } from '../../src/client/errors.js';
import { asProgramError } from '../../src/client/program-error.js';
import { Code } from '../../src/ttrpc/status.js';
import { beginning, ending, lastLines, locate } from '../../src/client/log/files.js';
import { LogFollower } from '../../src/client/log/follow.js';
import { spansOf } from '../../src/cli/trace/shim.js';
import { waterfall } from '../../src/cli/trace/waterfall.js';
import { chromeTrace } from '../../src/cli/trace/files.js';

const dir = mkdtempSync(join(tmpdir(), 'hawser-cli-parts-'));
after(() => rmSync(dir, { recursive: true, force: true }));

test('detach keys: by name, and found in whatever pieces they come', () => {
  assert.deepEqual([...parseDetachKeys('ctrl-p,ctrl-q')], [16, 17]);
  assert.deepEqual([...parseDetachKeys('ctrl-@,a,ctrl-[')], [0, 97, 27]);
  assert.throws(() => parseDetachKeys('ctrl-p,nope'), /"nope" is no key/);
  fc.assert(
    fc.property(
      fc.array(
        fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes.map((one) => 15 + (one % 4)))),
        { maxLength: 6 },
      ),
      (pieces) => {
        const all = Buffer.concat(pieces);
        const at = all.indexOf(Buffer.from([16, 17]));
        const scanner = new DetachScanner(Buffer.from([16, 17]));
        const passed: Buffer[] = [];
        let detached = false;
        for (const piece of pieces) {
          const result = scanner.scan(piece);
          passed.push(result.pass);
          detached = result.detached;
          if (detached) break;
        }
        const whole = Buffer.concat(passed);
        assert.equal(detached, at >= 0);
        if (detached) assert.deepEqual(whole, all.subarray(0, at));
        // A last ctrl-p may be the beginning of more.
        else assert.deepEqual(Buffer.concat([whole, all.subarray(whole.length)]), all);
        if (!detached) assert.ok(all.length - whole.length <= 1);
      },
    ),
  );
});

test("mounts and volumes in docker's forms", () => {
  const bound = { type: 'bind', source: dir, destination: '/data', options: ['rbind', 'rprivate', 'ro'] };
  assert.deepEqual(volume(`${dir}:/data:ro,z`), { mount: bound });
  assert.deepEqual(mount(`type=bind,source=${dir},target=/b,readonly,bind-propagation=rshared`), {
    mount: { type: 'bind', source: dir, destination: '/b', options: ['rbind', 'ro', 'rshared'] },
  });
  assert.deepEqual(mount('type=tmpfs,dst=/t,tmpfs-size=64k'), { mount: tmpfs('/t:size=64k') });
  assert.deepEqual(mount('type=proc,src=proc,dst=/p'), {
    mount: { type: 'proc', source: 'proc', destination: '/p', options: [] },
  });
  const data = { name: 'data', destination: '/data', readOnly: false, copy: true };
  assert.deepEqual(volume('data:/data'), { volume: data });
  assert.deepEqual(volume('data:/data:ro,nocopy'), { volume: { ...data, readOnly: true, copy: false } });
  assert.deepEqual(volume('/data'), { volume: { destination: '/data', readOnly: false, copy: true } });
  assert.deepEqual(mount('"src=da-ta",dst=/data,volume-nocopy=true,volume-label=a=b,volume-label=c'), {
    volume: { name: 'da-ta', destination: '/data', readOnly: false, copy: false, labels: { a: 'b', c: '' } },
  });
  assert.deepEqual(mountOptions({ volume: ['data:/data'], tmpfs: ['/t'] }), { mounts: [tmpfs('/t')], volumes: [data] });
  assert.throws(() => mountOptions({ volume: ['data:/data'], tmpfs: ['/data/'] }), /two mounts are to be at \/data: /);
  assert.throws(() => mountOptions({ volume: ['data:/'] }), /a mount at \//);
  for (const [text, error] of [
    ['type=bind,dst=/b', /it needs src=/],
    ['src=/a,dst=b', /an absolute path/],
    ['src=/a,dst=/b', /\/a is a path, and no volume's name: say type=bind/],
    [`type=bind,src=${dir}/missing,dst=/b`, /missing is not there: make it first/],
    ['src=a,dst=/b,color=red', /color means nothing with type=volume/],
    ['src=a,dst=/b,volume-driver=nfs', /no volume driver but local/],
    ['src=a,dst=/b,volume-opt=type=nfs', /another file system is mounted by its own type/],
    ['src=a"b,dst=/b', /between quotes as a whole/],
  ] as const)
    assert.throws(() => mount(text), error);
  for (const [text, error] of [
    ['data', /data must be an absolute path in the container, or be followed by one: data:\/path/],
    ['a/b:/data', /a\/b is no volume's name; a path begins with/],
    ['a__b:/data', /a volume's name has letters and digits/],
    ['data:/data:shared', /shared is no option of a volume/],
    [`${dir}:/data:nocopy`, /nocopy is for volumes/],
    ['a:/b:c:d', /it is DST, NAME:DST, SRC:DST/],
    [':/b', /it is DST, NAME:DST, SRC:DST/],
  ] as const)
    assert.throws(() => volume(text), error);
});

test("environment, and logs' places", () => {
  process.env.HAWSER_TEST_VALUE = 'mine';
  assert.deepEqual(environment(['A=1', 'HAWSER_TEST_VALUE', 'HAWSER_TEST_UNSET', 'A=2=3']), [
    'A=2=3',
    'HAWSER_TEST_VALUE=mine',
  ]);
  assert.throws(() => environment(['=x']), /"" is no name/);
  assert.deepEqual(logTarget(undefined, undefined, '/d/log'), {
    path: '/d/log',
    uri: 'file:///d/log?format=cri&max-size=10m&max-files=3',
  });
  assert.deepEqual(logTarget('file:/x y?.log', ['max-size=-1'], '/d/log')!.path, '/x y?.log');
  assert.equal(logPathOf(logTarget('file:/x y?#.log', ['max-size=5k'], '/d')!.uri), '/x y?#.log');
  assert.equal(logPathOf(logTarget('file:/x y?#.log', ['max-size=-1'], '/d')!.uri), '/x y?#.log');
  assert.equal(logTarget('none', undefined, '/d'), undefined);
  assert.equal(logPathOf('/run/fifo/x'), undefined);
  assert.throws(() => logTarget('syslog', undefined, '/d'), /there are file and none/);
});

test('exit statuses of what could not be started, by what runc 1.1 and 1.3 and crun 1.21 say', () => {
  const failure = (text: string): CliError =>
    startFailure('container x', { program: 'prog', cwd: '/work' }, new Error(text));
  const runc = 'OCI runtime exec failed: exec failed: unable to start container process: ';
  const init =
    'OCI runtime create failed: runc create failed: unable to start container process: error during container init: ';
  const crun = 'OCI runtime exec failed: ';
  const statuses: [number, ...string[]][] = [
    [
      127,
      `${runc}exec: "nope": executable file not found in $PATH: unknown`,
      `${runc}exec: "/nope": stat /nope: no such file or directory`,
      `${init}exec: "nope": executable file not found in $PATH`,
      `${runc}exec: "a permission denied": executable file not found in $PATH`,
      `${crun}executable file \`nope\` not found in $PATH: No such file or directory`,
      `${crun}executable file \`/no/such\` not found: No such file or directory`,
      'open executable: No such file or directory',
      'exec /bin/script: no such file or directory',
    ],
    [
      126,
      `${runc}exec: "/etc": permission denied`,
      `${runc}exec: "/etc": is a directory: unknown`,
      `${runc}exec: "/file/x": stat /file/x: not a directory`,
      `${runc}exec: "/secret/x": stat /secret/x: permission denied`,
      'exec /bin/script: exec format error',
      `${crun}the path \`noexec\` exists but it is not executable: Operation not permitted`,
      `${crun}the path \`/bin\` is not a regular file: Operation not permitted`,
      `${crun}cannot open \`/file/x\`: Not a directory`,
    ],
    [125, 'error mounting "/x": no such file or directory', `${init}mkdir /other: not a directory`],
  ];
  for (const [status, ...texts] of statuses)
    for (const text of texts) assert.equal(failure(text).exitCode, status, text);
  for (const [text, says] of [
    [
      `${runc}chdir to cwd ("/nodir") set in config.json failed: no such file or directory: unknown`,
      '/nodir is not there',
    ],
    [
      `${runc}chdir to cwd ("/executable file not found") set in config.json failed: no such file or directory`,
      '/executable file not found is not there',
    ],
    [`${runc}chdir to cwd ("/file") set in config.json failed: not a directory`, '/file is no directory'],
    [
      `${runc}chdir to cwd ("/secret") set in config.json failed: permission denied`,
      '/secret may not be entered by its user',
    ],
    [`${init}mkdir /work: not a directory`, '/work is no directory'],
    [`${crun}chdir to \`/nodir\`: No such file or directory`, '/nodir is not there'],
    [`${crun}chdir to \`/file\`: Not a directory: unknown`, '/file is no directory'],
  ] as const) {
    assert.ok(failure(text).message.startsWith(`container x: working directory ${says}: `), failure(text).message);
    assert.equal(failure(text).exitCode, 126);
  }
  // Plugins speak of programs, too, and of directories.
  for (const why of [
    'plugin portmap failed (ADD): exec: "iptables": executable file not found in $PATH',
    'plugin host-local failed (ADD): chdir to `/var`: Not a directory',
  ]) {
    const text = `${runc}error running hook #0: exit status 1, stdout: , stderr: hawser-network: ${why}: unknown`;
    assert.equal(failure(text).message, `container x could not be started: ${why}`);
    assert.equal(failure(text).exitCode, 125);
    const error = new ClientError(Code.Unknown, text);
    assert.equal(asProgramError(error, '/work'), error);
  }
});

test("a log's last lines, across the files that it was rotated to", () => {
  const path = join(dir, 'tail');
  writeFileSync(`${path}.2`, 'a\nb\n');
  writeFileSync(`${path}.1`, 'c\nd\n');
  writeFileSync(path, 'e\nf');
  const at = (lines: number): [number, number] => {
    const { inode, offset } = lastLines(path, lines);
    return [locate(path, inode).file, offset];
  };
  // The end of a file is the beginning of the next.
  assert.deepEqual([1, 2, 3, 5, 99].map(at), [
    [0, 2],
    [1, 4],
    [1, 2],
    [2, 2],
    [2, 0],
  ]);
});

test('following loses nothing while the log is rotated under it', async () => {
  const path = join(dir, 'follow');
  writeFileSync(path, 'begin\n');
  const follower = new LogFollower(path, beginning(path));
  const read = (async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of follower) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  })();
  let expected = 'begin\n';
  for (let i = 0; i < 300; i++) {
    appendFileSync(path, `line ${i}\n`);
    expected += `line ${i}\n`;
    if (i % 20 === 19) {
      for (let n = 30; n >= 1; n--) {
        try {
          renameSync(`${path}.${n}`, `${path}.${n + 1}`);
        } catch (error) {
          assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
        }
      }
      renameSync(path, `${path}.1`);
      writeFileSync(path, '');
    }
    if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  follower.end(true);
  assert.equal(await read, expected);
});

test('a log that is rotated before it is opened is read from where it was', async () => {
  const path = join(dir, 'moved');
  const read = async (follower: LogFollower): Promise<string> => {
    follower.end(true);
    const chunks: Buffer[] = [];
    for await (const chunk of follower) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  const absent = new LogFollower(path, ending(path));
  writeFileSync(path, 'one\n');
  const [all, rest] = [new LogFollower(path, beginning(path)), new LogFollower(path, ending(path))];
  renameSync(path, `${path}.1`);
  writeFileSync(path, 'two\n');
  assert.deepEqual([await read(absent), await read(all), await read(rest)], ['one\ntwo\n', 'one\ntwo\n', 'two\n']);
});

test("a shim's moments become spans where two belong together", () => {
  const moments = [
    'launched',
    'listening',
    'answered',
    'create: received',
    'create: runtime started',
    'create: runtime ended',
    'create: answered',
  ].map((what, i) => ({ what, at: 100 + i * 10 }));
  assert.deepEqual(
    spansOf(moments).map(({ name, start, end }) => [name, start - 100, end - 100]),
    [
      ['shim starts', 0, 20],
      ['create', 30, 60],
      ['create: runtime', 40, 50],
      ['listening', 10, 10],
    ],
  );
  const other = ['Create: asked', 'runtime create: begins', 'serving', 'runtime create: ended', 'Create: done'].map(
    (what, i) => ({ what, at: i }),
  );
  assert.deepEqual(
    spansOf(other).map(({ name, start, end }) => [name, start, end]),
    [
      ['Create', 0, 4],
      ['runtime create', 1, 3],
      ['serving', 2, 2],
    ],
  );
});

test('a waterfall shows each span in its place, and a trace file each in its lane', () => {
  const spans = [
    { witness: 'client', name: 'all', start: 1000, end: 1100 },
    { witness: 'client', name: 'half', start: 1050, end: 1100 },
    { witness: 'container', name: 'output', start: 1090, end: 1090 },
  ] as const;
  const lines = waterfall(spans, 80).split('\n');
  assert.match(lines[1]!, /^ +0\.0 +100\.0 {2}client {4}all +█{40,}$/);
  assert.match(lines[2]!, /^ +50\.0 +50\.0 {2}client {6}half +█{20,}$/);
  assert.match(lines[3]!, /^ +90\.0 +· {2}container output +◆$/);
  const { traceEvents } = JSON.parse(chromeTrace('x', spans)) as {
    traceEvents: { name: string; ts?: number; dur?: number; ph: string }[];
  };
  assert.deepEqual(
    traceEvents.filter(({ ts }) => ts !== undefined).map(({ name, ph, ts, dur }) => [name, ph, ts, dur]),
    [
      ['all', 'X', 0, 100_000],
      ['half', 'X', 50_000, 50_000],
      ['output', 'i', 90_000, undefined],
    ],
  );
});
