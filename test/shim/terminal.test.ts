/** Containers and execs with a terminal (contract §6.5). */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, isPending, within } from '../support/eventually.js';
import { cpuTicks, descriptorsOf } from '../support/machine.js';
import { hawserOnly, shimTest, TestStdio, type Lab, type Shim } from '../support/shim.js';
import { sh, type TestSpec } from '../support/spec.js';

const tty = (spec: TestSpec): void => {
  spec.process.terminal = true;
};

function masters(shim: Shim): number {
  return descriptorsOf(shim.worker).filter((line) => line.includes('ptmx') || line.includes('/pts/')).length;
}

shimTest("a container with a terminal has one, and its output comes with the terminal's line ends", async (lab) => {
  const task = await lab.task('c', sh('tty; test -t 0 && test -t 1 && test -t 2 && echo terminal'), {
    terminal: true,
    edit: tty,
  });
  await task.start();
  assert.equal((await task.wait()).exitStatus, 0);
  assert.match((await within('the end', task.out.ended)).toString(), /^\/dev\/(console|pts\/\d+)\r\nterminal\r\n$/);
  const state = await task.state();
  assert.equal(state.terminal, true);
});

shimTest(
  'bug 23, field 21: 2 MB of output just before the exit arrive whole at a slow reader, ten times',
  async (lab) => {
    const size = 2_000_000;
    const task = await lab.task('c');
    await task.start();
    for (let round = 0; round < 10; round++) {
      const id = `e${round}`;
      const { out } = await task.exec(id, sh(`head -c ${size} /dev/zero | tr '\\0' x; printf end`), { terminal: true });
      out!.pause();
      await task.start(id);
      for (let seen = -1; seen < size / 4;) {
        out!.resume();
        await eventually('some more', () => out!.bytes > seen);
        out!.pause();
        seen = out!.bytes;
        await delay(1);
      }
      out!.resume();
      assert.equal((await task.wait(id)).exitStatus, 0);
      const all = await within('the end of the output', out!.ended);
      assert.equal(all.length, size + 3);
      assert.equal(all.subarray(-3).toString(), 'end');
      await task.delete(id);
    }
  },
);

shimTest("bug 8: Delete waits for a terminal's output that is still being read", async (lab) => {
  const size = 300_000;
  const task = await lab.task('c', sh(`head -c ${size} /dev/zero | tr '\\0' x`), { terminal: true, edit: tty });
  task.out.pause();
  await task.start();
  // The reader is woken by nothing but this: the container cannot end before.
  await eventually('the terminal is full', () => lab.daemon.of('c', '/tasks/start').length === 1);
  task.out.resume();
  await task.wait();
  await task.delete();
  assert.equal((await within('the end', task.out.ended)).length, size);
});

shimTest('what is typed is echoed and read; CloseIO does not hang the terminal up', async (lab) => {
  const task = await lab.task('c', sh('read a; echo "got $a"; read b; echo "and $b"'), {
    terminal: true,
    stdin: true,
    edit: tty,
  });
  await task.start();
  const client = await task.stdio.input();
  await client.write('one\n');
  await task.out.saw('one\r\ngot one\r\n');
  await task.shim.task.CloseIO({ id: 'c', stdin: true });
  await client.write('two\n');
  await task.out.saw('and two\r\n');
  assert.equal((await task.wait()).exitStatus, 0);
});

shimTest('bug 52: the end of stdin cuts off no output', async (lab) => {
  const task = await lab.task('c', sh('sleep 0.3; head -c 100000 /dev/zero | tr "\\0" x; printf end'), {
    terminal: true,
    stdin: true,
    edit: tty,
  });
  await task.start();
  const client = await task.stdio.input();
  client.close();
  await task.shim.task.CloseIO({ id: 'c', stdin: true });
  assert.equal((await task.wait()).exitStatus, 0);
  const all = await within('the end', task.out.ended);
  assert.equal(all.length, 100_003);
});

shimTest('ResizePty sets the size, before Start and later, of inits and execs', async (lab) => {
  const script = 'stty size; trap "stty size" WINCH; echo up; while :; do sleep 0.05; done';
  const task = await lab.task('c', sh(script), { terminal: true, edit: tty });
  await task.shim.task.ResizePty({ id: 'c', width: 101, height: 31 });
  await task.start();
  await task.out.saw('31 101\r\nup');
  await task.shim.task.ResizePty({ id: 'c', width: 102, height: 32 });
  await task.out.saw('32 102');
  const { out } = await task.exec('e', sh(script), { terminal: true });
  await task.shim.task.ResizePty({ id: 'c', execId: 'e', width: 103, height: 33 });
  await task.start('e');
  await out!.saw('up');
  await task.shim.task.ResizePty({ id: 'c', execId: 'e', width: 104, height: 34 });
  await out!.saw('34 104');
  await task.shim.task.ResizePty({ id: 'c', execId: 'e', width: 20_000, height: 2 });
  await out!.saw('2 20000');
});

shimTest('field 30: a container that closes its terminal costs the shim no CPU, and can open it again', async (lab) => {
  const task = await lab.task('c', sh('exec 0<&- 1>&- 2>&-; sleep 1000'), { terminal: true, edit: tty });
  await task.start();
  await delay(200);
  const before = cpuTicks(task.shim.worker);
  await delay(1500);
  assert.ok(cpuTicks(task.shim.worker) - before < 15, `${cpuTicks(task.shim.worker) - before} ticks in 1.5 s`);
  const other = await task.shim.add('d', sh('exec 0<&- 1>&- 2>&-; sleep 0.3; exec >/dev/console; echo back'), {
    terminal: true,
    edit: tty,
  });
  await other.start();
  await other.out.saw('back');
});

shimTest(
  'bug 10, field 22: masters and peers of terminals are closed when their processes are deleted',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const before = masters(task.shim);
    const pts = readdirSync('/dev/pts').length;
    for (let round = 0; round < 10; round++) {
      const id = `e${round}`;
      await task.exec(id, ['/bin/true'], { terminal: true, stdin: true });
      await task.start(id);
      await task.wait(id);
      await task.delete(id);
    }
    await eventually('no terminal is open', () => masters(task.shim) === before);
    assert.equal(readdirSync('/dev/pts').length, pts);
    assert.deepEqual(readdirSync(`${lab.dir}/tmp`), []);
  },
);

shimTest(
  'an exec with a terminal whose command is missing leaves no terminal and no socket',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const before = task.shim.descriptors();
    const { out } = await task.exec('e', ['/no/such'], { terminal: true, stdin: true });
    await assert.rejects(task.start('e'), /OCI runtime exec failed/);
    await within('the end', out!.ended);
    await task.delete('e');
    assert.deepEqual(task.shim.descriptors(), before);
    assert.deepEqual(readdirSync(`${lab.dir}/tmp`), []);
  },
  { skip: hawserOnly },
);

shimTest('a reader of a terminal that goes away and comes back loses nothing but what it took along', async (lab) => {
  // Each part is written when the reader of the one before has gone.
  const script =
    'stty -echo; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; [ $((i % 500)) -eq 0 ] && read go; done; true';
  const task = await lab.task('c', sh(script), { terminal: true, stdin: true, edit: tty });
  await task.start();
  const client = await task.stdio.input();
  const parts: string[] = [];
  let reader = task.out;
  for (let round = 0; round < 6; round++) {
    await eventually('some output', () => reader.bytes > 0);
    reader.pause();
    await reader.close();
    parts.push(reader.text);
    await client.write('go\n');
    reader = lab.reader(task.stdio.paths.stdout);
  }
  parts.push((await within('the end', reader.ended)).toString());
  assert.equal((await task.wait()).exitStatus, 0);
  const seen = parts.join('').trim().split('\r\n');
  assert.deepEqual([seen.length, seen.at(-1)], [3000, '3000']);
});

/** The streams of a container with a terminal, and a name for its stderr, as Go's client gives one. */
function named(lab: Lab, stderr: string, name = 'c'): TestStdio {
  const { paths, out } = lab.stdio(name, { terminal: true });
  return new TestStdio(lab, { ...paths, stderr }, out, undefined);
}

shimTest(
  'a FIFO for stderr that is never made is no error with a terminal, nor is one that nobody reads waited for',
  async (lab) => {
    const paths = [join(lab.dir, 'fifos', 'missing'), join(lab.dir, 'nowhere', 'missing'), lab.fifo('unread')];
    for (const [i, stderr] of paths.entries()) {
      const task = await within(
        'Create',
        lab.task('c', ['/bin/cat'], { terminal: true, edit: tty, stdin: true, stdio: named(lab, stderr, `c${i}`) }),
      );
      await task.start();
      const { out } = await task.exec(`e${i}`, sh('echo here'), { terminal: true, stderr });
      await task.start(`e${i}`);
      await task.wait(`e${i}`);
      assert.equal((await within('the end', out!.ended)).toString(), 'here\r\n');
      await task.remove();
      await task.shim.shutdown();
    }
    assert.doesNotMatch(lab.log, /level=(warning|error)/);
  },
);

shimTest(
  'whoever reads the FIFO for stderr of a container with a terminal finds its end, also one that comes late',
  async (lab) => {
    const stderr = lab.fifo('read');
    const early = lab.reader(stderr);
    const task = await lab.task('c', ['/bin/cat'], {
      terminal: true,
      edit: tty,
      stdin: true,
      stdio: named(lab, stderr),
    });
    await task.start();
    const late = lab.reader(stderr);
    assert.ok(await isPending(late.ended));
    await task.kill(9);
    for (const reader of [early, late]) assert.equal((await within('the end', reader.ended)).length, 0);
    await task.wait();
    await task.delete();
  },
  { skip: hawserOnly },
);

shimTest(
  "a terminal's master is open once, and is read and written by that one",
  async (lab) => {
    const task = await lab.task('c', sh('while read line; do echo "it is $line"; done'), {
      terminal: true,
      edit: tty,
      stdin: true,
    });
    await task.start();
    const input = await task.stdio.input();
    await input.write('one\n');
    await task.out.saw('it is one');
    assert.equal(descriptorsOf(task.shim.worker).filter((line) => line.includes('ptmx')).length, 1);
    // Much, both ways at once: the terminal is full, and has room again, while it is read.
    const text = Array.from({ length: 2000 }, (_, i) => `line ${i} ${'x'.repeat(50)}\n`).join('');
    await input.write(text);
    await task.out.saw(`it is line 1999`);
    await task.remove();
  },
  { skip: hawserOnly },
);
