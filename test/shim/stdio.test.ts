/** Standard input and output without a terminal (contract §6.6). */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { bytesWaiting, tryRead } from '../../src/sys/index.js';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, isPending, within } from '../support/eventually.js';
import { FifoWriter, sha256 } from '../support/fifo-client.js';
import { cpuTicks, isAlive } from '../support/machine.js';
import { isCrun } from '../support/runtime.js';
import { fails, hawserOnly, shimTest, STATUS } from '../support/shim.js';
import { sh } from '../support/spec.js';

shimTest(
  'stdin: a client that came and left before Start is done, even when its CloseIO got lost',
  async (lab) => {
    const task = await lab.task('c', sh('cat; echo over'), { stdin: true });
    const client = await task.stdio.input();
    await client.write('all there is\n');
    client.close();
    await task.start();
    assert.equal((await within('the exit', task.wait())).exitStatus, 0);
    assert.equal((await task.out.ended).toString(), 'all there is\nover\n');
  },
  { skip: hawserOnly },
);

shimTest('stdin: a client that comes only after Start is waited for', async (lab) => {
  const task = await lab.task('c', ['/bin/cat'], { stdin: true });
  await task.start();
  await task.exec('e', ['/bin/cat'], { stdin: true });
  await task.start('e');
  assert.ok(await isPending(task.wait()));
  assert.equal((await task.state('e')).status, STATUS.RUNNING);
});

shimTest(
  'what the container has as its streams are pipes, each its own',
  async (lab) => {
    const task = await lab.task('c', undefined, { stdin: true });
    await task.start();
    const streams = [0, 1, 2].map((fd) => readlinkSync(`/proc/${task.pid}/fd/${fd}`));
    for (const stream of streams) assert.match(stream, /^pipe:/);
    assert.equal(new Set(streams).size, 3);
  },
  { skip: hawserOnly },
);

shimTest(
  'stdin: a process that opens its own again after the end has been written finds what is left, and the end',
  async (lab) => {
    for (const [id, script] of Object.entries({
      unread: 'read go </tmp/gate; cat /dev/stdin',
      begun: 'read first; read go </tmp/gate; cat /proc/self/fd/0',
      reopened: 'read go </tmp/gate; exec </dev/stdin; cat',
    })) {
      const gate = lab.fifo(`gate-${id}`);
      const task = await lab.task(id, sh(script), {
        stdin: true,
        edit: (spec) => {
          spec.mounts.push({ destination: '/tmp/gate', type: 'bind', source: gate, options: ['bind'] });
        },
      });
      await task.start();
      const client = await task.stdio.input();
      await client.write('one\ntwo\n');
      client.close();
      await task.shim.task.CloseIO({ id, stdin: true });
      writeFileSync(gate, 'go\n');
      assert.equal(
        (await within('the end of its output', task.out.ended)).toString(),
        id === 'begun' ? 'two\n' : 'one\ntwo\n',
      );
      await task.wait();
    }
  },
);

shimTest('field 20: 64 MiB arrive whole at a reader that is slow, at next to no cost to the shim', async (lab) => {
  const size = 64 << 20;
  const task = await lab.task('c', sh(`dd if=/dev/zero bs=1M count=64 2>/dev/null | tr '\\0' 'h'; exit 0`));
  const { out } = task;
  out.pause();
  await task.start();
  const before = cpuTicks(task.shim.pid);
  // Read in bites, with the pipe full in between.
  for (let seen = 0; seen < size / 2;) {
    out.resume();
    await eventually('some more', () => out.bytes > seen);
    out.pause();
    seen = out.bytes;
  }
  out.resume();
  const all = await within('the end of the output', out.ended, 40_000);
  assert.equal(all.length, size);
  assert.equal(sha256(all), sha256(Buffer.alloc(size, 'h')));
  assert.equal((await task.wait()).exitStatus, 0);
  if (!hawserOnly) assert.ok(cpuTicks(task.shim.pid) - before <= 20, 'the shim only handed it on');
});

shimTest('bug 8: what lies in the pipe at the exit is read by a client that comes to it after Delete', async (lab) => {
  const task = await lab.task('c', sh('echo first; echo last'));
  task.out.pause();
  await task.start();
  await task.wait();
  await task.delete();
  task.out.resume();
  assert.equal((await within('the end', task.out.ended)).toString(), 'first\nlast\n');
});

shimTest(
  'stdin: the container sees its end only when CloseIO was called and the client has closed its own',
  async (lab) => {
    const task = await lab.task('c', sh('cat; echo over'), { stdin: true });
    await task.start();
    const client = await task.stdio.input();
    await client.write('one\n');
    await task.out.saw('one\n');
    await task.shim.task.CloseIO({ id: 'c', stdin: true });
    await client.write('two\n');
    await task.out.saw('two\n');
    assert.ok(!task.out.text.includes('over'));
    client.close();
    assert.equal((await within('the exit', task.wait())).exitStatus, 0);
    assert.equal((await task.out.ended).toString(), 'one\ntwo\nover\n');
  },
);

shimTest('stdin: a client that closes without CloseIO is not the end', async (lab) => {
  const task = await lab.task('c', ['/bin/cat'], { stdin: true });
  await task.start();
  const first = await task.stdio.input();
  await first.write('one\n');
  await task.out.saw('one\n');
  first.close();
  assert.ok(await isPending(task.wait()));
  const second = await task.stdio.input();
  await second.write('two\n');
  await task.out.saw('two\n');
  second.close();
  await task.shim.task.CloseIO({ id: 'c', stdin: true });
  assert.equal((await within('the exit', task.wait())).exitStatus, 0);
});

shimTest(
  'field 18: CloseIO before an exec is started leaves it what the client wrote, and then the end',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    for (let round = 0; round < 5; round++) {
      const id = `e${round}`;
      const stdio = await task.exec(id, ['/bin/cat'], { stdin: true });
      await task.shim.task.CloseIO({ id: 'c', execId: id, stdin: true });
      const starting = task.start(id);
      const client = await stdio.input();
      await starting;
      await client.write(`input ${round}`);
      client.close();
      assert.equal((await within('the exit', task.wait(id))).exitStatus, 0);
      assert.equal((await stdio.out!.ended).toString(), `input ${round}`);
      await task.delete(id);
    }
  },
);

shimTest('stdin: 8 MiB go through byte by byte equal, both ways', async (lab) => {
  const task = await lab.task('c', ['/bin/cat'], { stdin: true });
  await task.start();
  const client = await task.stdio.input();
  const data = randomBytes(8 << 20);
  await client.write(data);
  await task.shim.task.CloseIO({ id: 'c', stdin: true });
  client.close();
  assert.equal(sha256(await within('the end', task.out.ended)), sha256(data));
});

shimTest('field 19: 64 MiB of standard input reach an exec that prints nothing, byte by byte', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  const { out } = await task.exec('e', sh('sha256sum'), { stdin: true });
  await task.start('e');
  const client = await FifoWriter.open(join(lab.dir, 'fifos', 'c-e-stdin'));
  const block = randomBytes(1 << 20);
  for (let n = 0; n < 64; n++) await client.write(block);
  client.close();
  await task.shim.task.CloseIO({ id: 'c', execId: 'e', stdin: true });
  assert.equal((await within('the exit', task.wait('e'), 50_000)).exitStatus, 0);
  const expected = sha256(Buffer.concat(Array.from({ length: 64 }, () => block)));
  assert.equal((await out!.ended).toString(), `${expected}  -\n`);
});

shimTest(
  "bug 34: an exec whose input has ended leaves none of its FIFO's descriptors behind",
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const before = task.shim.descriptors();
    for (let round = 0; round < 5; round++) {
      const id = `e${round}`;
      const stdio = await task.exec(id, ['/bin/cat'], { stdin: true });
      await task.start(id);
      const client = await stdio.input();
      client.close();
      await task.shim.task.CloseIO({ id: 'c', execId: id, stdin: true });
      await task.wait(id);
      await task.delete(id);
    }
    assert.deepEqual(task.shim.descriptors(), before);
  },
  { skip: hawserOnly },
);

shimTest(
  'field 14: while nobody reads, the container waits, its shim answers, and nothing is lost afterwards',
  async (lab) => {
    const path = lab.fifo('unread');
    // There is a client, which takes nothing and goes away.
    const client = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const task = await lab.task('c', sh(`head -c 1000000 /dev/zero | tr '\\0' x; echo over >&2`), { stdout: path });
    await task.start();
    await eventually('the FIFO is full', () => bytesWaiting(client) >= 65_536);
    closeSync(client);
    assert.equal((await task.state()).status, STATUS.RUNNING);
    assert.ok(await isPending(task.wait()));
    assert.equal(task.err.text, '');
    const reader = lab.reader(path);
    assert.equal((await within('the exit', task.wait())).exitStatus, 0);
    assert.equal((await reader.ended).length, 1_000_000);
  },
);

shimTest('stdin: a client that writes to a process that has ended gets no EPIPE before Delete', async (lab) => {
  const task = await lab.task('c', ['/bin/true'], { stdin: true });
  await task.start();
  const client = await task.stdio.input();
  await task.wait();
  await client.write('nobody reads this');
});

shimTest(
  'bug 51, field 17: a reader that goes away and comes back 20 times costs the container no EPIPE and no line',
  async (lab) => {
    const lines = 200_000;
    const task = await lab.task('c', sh(`i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo $i; done`), {
      stdout: undefined,
    });
    const path = task.stdio.paths.stdout;
    // A paused reader takes nothing: what it leaves in the pipe is for the next.
    let reader = task.out;
    await task.start();
    const parts: string[] = [];
    for (let round = 0; round < 20; round++) {
      const { bytes } = reader;
      await eventually('some output', () => reader.bytes > bytes || reader.bytes >= 1);
      reader.pause();
      await reader.close();
      parts.push(reader.text);
      assert.ok(isAlive(task.shim.pid));
      reader = lab.reader(path);
    }
    const rest = within('the end', reader.ended);
    assert.equal((await task.wait()).exitStatus, 0);
    parts.push((await rest).toString());
    const seen = parts.join('').trim().split('\n');
    assert.equal(seen.length, lines);
    assert.ok(seen.every((line, at) => line === String(at + 1)));
  },
  { skip: hawserOnly },
);

shimTest('the client gets the end of the output at the exit, not at Delete', async (lab) => {
  const task = await lab.task('c', sh('echo x'));
  await task.start();
  await task.wait();
  await within('the end of stdout', task.out.ended);
  await within('the end of stderr', task.err.ended);
  assert.equal((await task.state()).status, STATUS.STOPPED);
});

/** Reads 4 KiB at a time, with a rest after each; tells how much it has. */
function slowReader(path: string): { bytes: () => number; stop: () => void } {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const buffer = Buffer.alloc(4096);
  let bytes = 0;
  const timer = setInterval(() => {
    bytes += tryRead(fd, buffer) ?? 0;
  }, 2);
  return {
    bytes: () => bytes,
    stop: () => {
      clearInterval(timer);
      closeSync(fd);
    },
  };
}

shimTest(
  'a client that closes its FIFO when it hears of the end, as that of containerd 2.x, has read it to its end by then',
  async (lab) => {
    const SIZE = 60_000;
    const write = sh(`head -c ${SIZE} /dev/zero`);
    // A reader may be held up for longer than anybody waits, but not every time.
    const had: number[] = [];
    const task = await lab.task('c', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
    await task.start();
    for (let i = 0; i < 5 && had.at(-1) !== SIZE; i++) {
      const stdout = lab.fifo(`slow${i}`);
      const reader = slowReader(stdout);
      await task.exec(`e${i}`, write, { stdout, stderr: '' });
      await task.start(`e${i}`);
      await task.wait(`e${i}`);
      had.push(reader.bytes());
      reader.stop();
      await task.delete(`e${i}`);
    }
    assert.equal(had.at(-1), SIZE, `an exec: ${had.join(', ')}`);
    had.length = 0;
    for (let i = 0; i < 5 && had.at(-1) !== SIZE; i++) {
      const stdout = lab.fifo(`slow-init${i}`);
      const reader = slowReader(stdout);
      const one = await task.shim.add(`c${i}`, write, { stdout, stderr: '' });
      await one.start();
      await one.wait();
      had.push(reader.bytes());
      reader.stop();
      await one.delete();
    }
    assert.equal(had.at(-1), SIZE, `a container: ${had.join(', ')}`);
  },
  { skip: hawserOnly },
);

shimTest('output that nobody reads holds no exit up', async (lab) => {
  const stdout = lab.fifo('unread');
  const fd = openSync(stdout, constants.O_RDONLY | constants.O_NONBLOCK);
  const task = await lab.task('c', sh('echo unread'), { stdout, stderr: '' });
  await task.start();
  assert.equal((await within('the exit', task.wait(), 10_000)).exitStatus, 0);
  closeSync(fd);
});

shimTest(
  'no stdio at all: the container may read and write, and loses it',
  async (lab) => {
    const task = await lab.task('c', sh('echo x || exit 1; echo y >&2 || exit 2; read line && exit 3; exit 0'), {
      stdout: '',
      stderr: '',
    });
    await task.start();
    assert.equal((await task.wait()).exitStatus, 0);
  },
  { skip: hawserOnly },
);

shimTest(
  'an empty stdout beside a stderr is nothing to write to, and no error',
  async (lab) => {
    const task = await lab.task('c', sh('echo x || exit 1; echo y >&2'), { stdout: '' });
    await task.start();
    assert.equal((await task.wait()).exitStatus, 0);
    assert.equal((await task.err.ended).toString(), 'y\n');
  },
  { skip: hawserOnly },
);

shimTest('file://: both streams are appended to the file, which is made, with its directory', async (lab) => {
  const file = join(lab.dir, 'made', 'here', 'out.log');
  const uri = `file://${file}`;
  const task = await lab.task('c', sh('echo out; echo err >&2'), { stdout: uri, stderr: uri });
  await task.start();
  await task.wait();
  await task.delete();
  assert.deepEqual(readFileSync(file, 'utf8').split('\n').sort(), ['', 'err', 'out']);
  const again = await task.shim.create('c', { stdio: lab.stdio('again', { stdout: uri, stderr: uri }) });
  await again.start();
  await again.wait();
  await again.delete();
  await eventually('all four lines', () => readFileSync(file, 'utf8').split('\n').length === 5);
});

shimTest('a plain file as stdout is appended to, and must be there', async (lab) => {
  const file = join(lab.dir, 'plain');
  writeFileSync(file, 'before\n');
  const task = await lab.task('c', sh('echo after'), { stdout: file, stderr: file });
  await task.start();
  await task.wait();
  await task.delete();
  assert.equal(readFileSync(file, 'utf8'), 'before\nafter\n');
  lab.bundle('d');
  await fails(task.shim.create('d', { stdout: join(lab.dir, 'missing'), stderr: '' }), Code.Unknown, /fifo .*missing/);
});

shimTest('an unknown scheme is an error that names it', async (lab) => {
  lab.bundle('c');
  const shim = await lab.shim('c');
  await fails(shim.create('c', { stdout: 'gopher://x', stderr: '' }), Code.Unknown, /unknown STDIO scheme gopher/);
  await shim.create('c');
});

shimTest('a FIFO may be renamed and removed once it has been opened', async (lab) => {
  const task = await lab.task('c', sh('read line; echo got $line'), { stdin: true });
  const client = await task.stdio.input();
  renameSync(task.stdio.paths.stdout, `${task.stdio.paths.stdout}-away`);
  unlinkSync(task.stdio.paths.stderr);
  await task.start();
  await client.write('x\n');
  await task.wait();
  assert.equal((await task.out.ended).toString(), 'got x\n');
});

shimTest("field 13: descendants that keep the output open don't hold up Delete", async (lab) => {
  const task = await lab.task('c');
  await task.start();
  const { out } = await task.exec('e', sh('sleep 1000 & echo started'));
  await task.start('e');
  assert.equal((await task.wait('e')).exitStatus, 0);
  await within('Delete', task.delete('e'), 15_000);
  assert.equal(out!.text, 'started\n');
  await task.remove();
  await within('the end', out!.ended);
});

shimTest(
  'bug 22: a client that never opens its FIFO fails Create after 30 s; until then others are served',
  async (lab) => {
    lab.bundle('c');
    lab.bundle('other', sh('exit 3'));
    const shim = await lab.shim('c');
    const stdout = lab.fifo('nobody');
    const began = Date.now();
    const creating = fails(
      shim.create('c', { stdout, stderr: '' }),
      Code.Unknown,
      /opening w\/o fifo ".*nobody" failed/,
    );
    const other = await shim.create('other');
    await other.start();
    assert.equal((await other.wait()).exitStatus, 3);
    await other.delete();
    assert.ok(Date.now() - began < 25_000);
    await within('the failure', creating, 45_000);
    const took = Date.now() - began;
    assert.ok(took >= 29_000, `it waited ${took} ms only`);
    await fails(shim.task.State({ id: 'c' }), Code.NotFound, 'container not created: not found');
    await (await shim.create('c', { stdio: lab.stdio('again') })).delete();
    await shim.shutdown();
    await lab.assertNothingLeft();
  },
  { timeout: 90_000, skip: hawserOnly },
);

shimTest('a client that opens its FIFO late is waited for', async (lab) => {
  lab.bundle('c', sh('echo x'));
  const shim = await lab.shim('c');
  const stdout = lab.fifo('late');
  const creating = shim.create('c', { stdout, stderr: '' });
  assert.ok((await isPending(creating)) || hawserOnly);
  const reader = lab.reader(stdout);
  await (await creating).start();
  assert.equal((await reader.ended).toString(), 'x\n');
});

shimTest('io_uid and io_gid own what the container gets', async (lab) => {
  const task = await lab.task('c', sh('stat -L -c "%g" /proc/$$/fd/1'), { options: { ioUid: 123, ioGid: 456 } });
  await task.start();
  await task.wait();
  // runc gives it to the container's own user afterwards, but leaves the group. crun gives it to both.
  assert.equal((await task.out.ended).toString(), isCrun ? '0\n' : '456\n');
  const { uid, gid } = statSync('/dev/null');
  assert.deepEqual([uid, gid], [0, 0], "what stands for a stream that is not there stays the host's");
});

shimTest(
  'a file:// URI that names a FIFO which nobody reads is an error at once, and the shim goes on',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    await assert.rejects(
      shim.task.Create(
        { id: 'c', bundle: join(lab.dir, 'bundles/c'), stdout: `file://${lab.fifo('unread')}` },
        { timeoutMs: 20_000 },
      ),
      /ENXIO/,
    );
    await shim.task.Connect({ id: 'c' }, { timeoutMs: 5000 });
  },
);

shimTest("the container has no descriptor of the shim's", async (lab) => {
  const task = await lab.task('c', sh('for fd in /proc/self/fd/*; do readlink $fd; done; true'));
  await task.start();
  await task.wait();
  const open = (await task.out.ended)
    .toString()
    .trim()
    .split('\n')
    .filter((line) => line && !line.startsWith('/proc/'));
  for (const line of open) assert.ok(line === '/dev/null' || line.startsWith('pipe:'), line);
});

shimTest(
  'bugs 35 and 49, field 16: the log FIFO of a daemon that went away neither blocks nor ends the shim',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    await shim.create('c');
    // Each is a dump of the shim's state: many times what the FIFO holds.
    for (let i = 0; i < 300; i++) process.kill(shim.pid, 'SIGUSR1');
    await eventually('it answers', async () => (await shim.task.State({ id: 'c' })).status === STATUS.CREATED);
    assert.ok(shim.isAlive);
  },
);
