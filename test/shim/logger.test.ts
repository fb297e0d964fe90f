/** Logging binaries: `binary://` and `binary-v2://` (contract §6.6), and what happens when they die. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, isPending, within } from '../support/eventually.js';
import { FifoWriter } from '../support/fifo-client.js';
import { descriptorsOf, isAlive, threadsNamed, zombiesOf } from '../support/machine.js';
import {
  fails,
  hawserOnly,
  shimTest,
  STATUS,
  type Lab,
  type Shim,
  type Task,
  type TaskOptions,
} from '../support/shim.js';
import { sh, type TestSpec } from '../support/spec.js';

const tty = (spec: TestSpec): void => {
  spec.process.terminal = true;
};
/** Reads both streams to their end, into NAME.out and NAME.err, NAME being the id it is told. */
const COPY = 'exec 5>&-; cat <&4 >>"$dir/$CONTAINER_ID.err" & cat <&3 >>"$dir/$CONTAINER_ID.out"; wait';

/** A logger: a shell script that knows its `$dir`, and leaves its pid in `NAME.pid`. */
function logger(lab: Lab, name: string, script: string): string {
  const path = join(lab.dir, name);
  writeFileSync(path, `#!/bin/sh\nPATH=/usr/bin:/bin\ndir=${lab.dir}\necho $$ >"$dir/$CONTAINER_ID.pid"\n${script}\n`, {
    mode: 0o755,
  });
  return path;
}

function uris(uri: string): Pick<TaskOptions, 'stdout' | 'stderr'> {
  return { stdout: uri, stderr: uri };
}

const written = (lab: Lab, name: string): string => readFileSync(join(lab.dir, name), 'utf8');
const pidOf = (lab: Lab, id: string): number => Number(written(lab, `${id}.pid`));

/** Runs something that may fail, and sees that the shim has neither a descriptor nor a child more after it. */
async function leavesNothing(shim: Shim, work: () => Promise<void>): Promise<void> {
  const before = shim.descriptors();
  await work();
  await eventually('the descriptors are as before', () => shim.descriptors().length === before.length).catch(
    () => undefined,
  );
  assert.deepEqual(shim.descriptors(), before);
  await eventually('no zombie', () => zombiesOf(shim.pid).length === 0);
}

async function end(task: Task): Promise<void> {
  await task.start();
  await within('the exit', task.wait());
  await task.delete();
}

shimTest('a logger gets both streams, the ids, and the query as arguments in its order', async (lab) => {
  const path = logger(
    lab,
    'log me',
    `for a; do echo "[$a]"; done >"$dir/args"; env >"$dir/env"; ls -l /proc/$$/fd >"$dir/fds"; ${COPY}`,
  );
  const uri = `binary://${path.replace(' ', '%20')}?one=1&flag&two=a+b%26c&one=again&empty=`;
  const task = await lab.task('c', sh('echo out; echo err >&2'), uris(uri));
  await end(task);
  assert.equal(written(lab, 'c.out'), 'out\n');
  assert.equal(written(lab, 'c.err'), 'err\n');
  if (!hawserOnly) assert.equal(written(lab, 'args'), '[one]\n[1]\n[flag]\n[]\n[two]\n[a b&c]\n[empty]\n[]\n');
  assert.deepEqual(
    written(lab, 'env')
      .split('\n')
      .filter((line) => line && !/^(PWD|PATH|_|SHLVL|OLDPWD|dir)=/.test(line))
      .sort(),
    ['CONTAINER_ID=c', `CONTAINER_NAMESPACE=${lab.namespace}`],
  );
  assert.match(
    written(lab, 'fds'),
    / 0 -> \/dev\/null\n[^]* 2 -> \/dev\/null\n[^]* 3 -> pipe:[^]* 4 -> pipe:[^]* 5 -> pipe:/,
  );
});

shimTest('zero-copy: what the container has as stdout is the pipe that its logger reads', async (lab) => {
  const task = await lab.task('c', undefined, uris(`binary://${logger(lab, 'logger', COPY)}`));
  await task.start();
  const theirs = descriptorsOf(pidOf(lab, 'c'));
  const pipe = readlinkSync(`/proc/${task.pid}/fd/1`);
  assert.match(pipe, /^pipe:/);
  assert.ok(theirs.includes(`3 ${pipe}`), theirs.join('\n'));
  await task.remove();
});

shimTest(
  'field 20: 16 MiB go through a logger whole, before Delete has returned',
  async (lab) => {
    const task = await lab.task(
      'c',
      sh('head -c 16777216 /dev/zero | tr "\\0" x; printf end'),
      uris(`binary://${logger(lab, 'logger', COPY)}`),
    );
    await end(task);
    const all = written(lab, 'c.out');
    assert.deepEqual([all.length, all.slice(-4)], [16_777_219, 'xend']);
  },
  { skip: hawserOnly },
);

shimTest(
  'a logger that reads slowly gets all the time that a drain may take',
  async (lab) => {
    // The container is gone long before its logger has looked at anything.
    const task = await lab.task(
      'c',
      sh('echo one; echo two'),
      uris(`binary://${logger(lab, 'logger', `exec 5>&-; sleep 1; ${COPY}`)}`),
    );
    await end(task);
    assert.equal(written(lab, 'c.out'), 'one\ntwo\n');
  },
  { skip: hawserOnly },
);

shimTest(
  "execs have loggers of their own, told the exec's id; the two streams may go to two",
  async (lab) => {
    const path = logger(lab, 'logger', COPY);
    const other = logger(lab, 'other', 'exec 5>&-; cat <&4 >"$dir/other.err"');
    const task = await lab.task('c');
    await task.start();
    await leavesNothing(task.shim, async () => {
      await task.exec('e1', sh('echo from e1'), uris(`binary://${path}`));
      await task.exec('e2', sh('echo to one; echo to another >&2'), {
        stdout: `binary://${path}`,
        stderr: `binary://${other}`,
      });
      for (const id of ['e1', 'e2']) {
        await task.start(id);
        await task.wait(id);
        await task.delete(id);
      }
    });
    assert.deepEqual(
      [written(lab, 'e1.out'), written(lab, 'e2.out'), written(lab, 'other.err')],
      ['from e1\n', 'to one\n', 'to another\n'],
    );
    assert.equal(written(lab, 'e2.err'), '');
  },
  { skip: hawserOnly },
);

shimTest(
  'standard input reaches a container with a logger',
  async (lab) => {
    const task = await lab.task('c', ['/bin/cat'], { stdin: true, ...uris(`binary://${logger(lab, 'logger', COPY)}`) });
    await task.start();
    const client = await task.stdio.input();
    await client.write('typed\n');
    client.close();
    await task.shim.task.CloseIO({ id: 'c', stdin: true });
    assert.equal((await within('the exit', task.wait())).exitStatus, 0);
    await task.delete();
    assert.equal(written(lab, 'c.out'), 'typed\n');
  },
  { skip: hawserOnly },
);

shimTest(
  "a terminal's output goes to a logger, all of it, of containers and of execs",
  async (lab) => {
    const io = { terminal: true, stdout: `binary://${logger(lab, 'logger', COPY)}`, stderr: '' };
    const task = await lab.task('c', sh('test -t 1 && head -c 300000 /dev/zero | tr "\\0" x; printf end; read stop'), {
      ...io,
      stdin: true,
      edit: tty,
    });
    await task.start();
    await eventually(
      'all is there',
      () => existsSync(join(lab.dir, 'c.out')) && written(lab, 'c.out').length >= 300_003,
    );
    await eventually('who has copied it is gone', () => threadsNamed('hawser-relay', task.shim.worker) === 0);
    await leavesNothing(task.shim, async () => {
      await task.exec('e', sh('echo in exec'), io);
      await task.start('e');
      await task.wait('e');
      await task.delete('e');
    });
    assert.equal(written(lab, 'e.out'), 'in exec\r\n');
    await task.remove();
    assert.match(written(lab, 'c.out'), /^x{300000}end$/);
    assert.equal(written(lab, 'c.err'), '');
  },
  { skip: hawserOnly },
);

shimTest(
  'a terminal whose logger has died does not hold up Delete; what comes after is spilled when that is the policy',
  async (lab) => {
    const io = (query: string): TaskOptions => ({
      terminal: true,
      stdout: `binary://${logger(lab, 'logger', 'exec 5>&-; exit 0')}${query}`,
      stderr: '',
    });
    const script = sh('sleep 0.3; head -c 300000 /dev/zero | tr "\\0" x');
    const spill = join(lab.dir, 'spill');
    const task = await lab.task('c', script, { ...io(`?hawser.on-death=spill:${spill}`), edit: tty });
    await end(task);
    assert.equal(readFileSync(spill, 'utf8'), 'x'.repeat(300_000));
    const blocked = await task.shim.add('d', script, { ...io(''), edit: tty });
    await blocked.start();
    await isTold(lab, /the logger of d .*its output waits/);
    await blocked.kill(9);
    await blocked.wait();
    await within('Delete', blocked.delete(), 9_000);
  },
  { skip: hawserOnly },
);

shimTest(
  'the logger finds the end when the container is gone, not only at Delete',
  async (lab) => {
    const task = await lab.task('c', sh('echo x'), uris(`binary://${logger(lab, 'logger', COPY)}`));
    const log = pidOf(lab, 'c');
    await task.start();
    await task.wait();
    await eventually('the end of the logger', () => !isAlive(log));
    assert.equal((await task.state()).status, STATUS.STOPPED);
    await task.delete();
  },
  { skip: hawserOnly },
);

shimTest(
  'bug 41: a logger that cannot be executed fails Create, names itself, and leaves nothing',
  async (lab) => {
    lab.bundle('leader');
    const shim = await lab.shim('leader');
    lab.bundle('c');
    const plain = join(lab.dir, 'plain');
    writeFileSync(plain, 'no program', { mode: 0o644 });
    const refused = async (): Promise<void> => {
      await fails(
        shim.create('c', uris('binary:///no/such/logger?x')),
        Code.Unknown,
        /failed to start binary process: fork\/exec \/no\/such\/logger: no such file or directory/,
      );
      await fails(
        shim.create('c', uris(`binary-v2://${plain}`)),
        Code.Unknown,
        /failed to start binary process: fork\/exec .*plain: permission denied/,
      );
    };
    await refused();
    await leavesNothing(shim, refused);
    await (await shim.create('c', { stdio: lab.stdio('fine') })).delete();
  },
  { skip: hawserOnly },
);

shimTest(
  'bug 43, field 23: a logger that crashes at its start fails Create, by either scheme, and leaves nothing',
  async (lab) => {
    lab.bundle('leader');
    const shim = await lab.shim('leader');
    lab.bundle('c');
    const path = logger(lab, 'logger', 'exit 3');
    const killed = logger(lab, 'killed', 'kill -9 $$');
    const refused = async (): Promise<void> => {
      for (const scheme of ['binary', 'binary-v2']) {
        await fails(
          shim.create('c', uris(`${scheme}://${path}`)),
          Code.Unknown,
          /logging binary did not call ready \(it may have crashed or exited prematurely\): .*logger ended with status 3/,
        );
        await fails(
          shim.create('c', uris(`${scheme}://${killed}`)),
          Code.Unknown,
          /did not call ready .*killed ended with status 137/,
        );
      }
    };
    await refused();
    await leavesNothing(shim, refused);
  },
  { skip: hawserOnly },
);

shimTest(
  'bug 43: a binary-v2 logger must write a byte; closing the descriptor is enough for binary only',
  async (lab) => {
    lab.bundle('c', sh('echo x'));
    const shim = await lab.shim('c');
    const closes = logger(lab, 'closes', COPY);
    await fails(shim.create('c', uris(`binary-v2://${closes}`)), Code.Unknown, /logging binary did not call ready/);
    const signals = logger(lab, 'signals', `printf r >&5; ${COPY}`);
    for (const scheme of ['binary', 'binary-v2']) {
      await end(await shim.create('c', uris(`${scheme}://${signals}`)));
    }
    assert.equal(written(lab, 'c.out'), 'x\nx\n');
  },
  { skip: hawserOnly },
);

shimTest(
  'field 24: a logger that never says it is ready fails Create in time, and is killed with all it started',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    const path = logger(lab, 'logger', 'sleep 1000 & echo $! >"$dir/child"; wait');
    const refused = (): Promise<void> =>
      fails(
        shim.create('c', uris(`binary://${path}?hawser.ready-timeout=500ms`)),
        Code.Unknown,
        /did not call ready within 0.5 s; it has to close descriptor 5/,
      );
    await refused();
    await leavesNothing(shim, refused);
    await eventually('neither lives', () => !isAlive(pidOf(lab, 'c')) && !isAlive(Number(written(lab, 'child'))));
  },
  { skip: hawserOnly },
);

shimTest(
  'an exec whose logger cannot be executed fails to start; the container and its shim go on',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    await leavesNothing(task.shim, async () => {
      await task.exec('e', ['/bin/true'], uris('binary:///no/such/logger'));
      await fails(task.start('e'), Code.Unknown, /failed to start binary process/);
      await task.delete('e');
    });
    assert.equal((await task.run('next', sh('echo fine'))).stdout, 'fine\n');
  },
  { skip: hawserOnly },
);

shimTest(
  'a logger is ended when its container could not be created',
  async (lab) => {
    lab.bundle('c', ['/no/such/command']);
    const shim = await lab.shim('c');
    const refused = (): Promise<void> =>
      fails(
        shim.create('c', uris(`binary://${logger(lab, 'logger', COPY)}`)),
        Code.Unknown,
        /OCI runtime create failed/,
      );
    // The first one also connects to the daemon, for events.
    await refused();
    await leavesNothing(shim, refused);
    await eventually('it is gone', () => !isAlive(pidOf(lab, 'c')));
  },
  { skip: hawserOnly },
);

shimTest('bug 42: a logger that only ends by our SIGTERM has read everything first, and is no error', async (lab) => {
  const path = logger(
    lab,
    'logger',
    `trap 'echo told >"$dir/told"; exit 143' TERM; exec 5>&-; cat <&3 >"$dir/c.out"; while :; do sleep 0.1; done`,
  );
  const task = await lab.task('c', sh('echo x'), uris(`binary://${path}`));
  const warnings = (): string[] => lab.log.split('\n').filter((line) => /level=(warning|error)/.test(line));
  await end(task);
  assert.equal(written(lab, 'c.out'), 'x\n');
  assert.equal(written(lab, 'told'), 'told\n');
  assert.deepEqual(warnings(), []);
});

shimTest(
  'a logger that ignores SIGTERM is killed after 12 s; meanwhile others are served',
  async (lab) => {
    const path = logger(lab, 'logger', `trap '' TERM; exec 5>&-; while :; do sleep 1; done`);
    const task = await lab.task('c', ['/bin/true'], uris(`binary://${path}`));
    await task.start();
    await task.wait();
    const deleting = task.delete();
    const other = await task.shim.add('other', sh('exit 3'));
    await other.start();
    assert.equal((await other.wait()).exitStatus, 3);
    assert.ok(await isPending(deleting));
    await within('Delete', deleting, 50_000);
    await eventually('the end of the logger', () => !isAlive(pidOf(lab, 'c')));
  },
  { timeout: 90_000 },
);

// ---- loggers that die while the container lives ------------------------------------------------------------------

const DIES = 'exec 5>&-; read line <&3; echo "$line" >>"$dir/c.out"; exit 7';
/** Writes a line that ends the logger, and much more than a pipe holds once it is told to. */
const WRITES = sh(
  'echo first; read go; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo "line $i"; done; echo $i >&2; read stop',
);
const REST = Array.from({ length: 20_000 }, (_, i) => `line ${i + 1}\n`).join('');

async function writer(
  lab: Lab,
  query: string,
  script = DIES,
  edit?: (spec: TestSpec) => void,
): Promise<{ task: Task; go: () => Promise<void> }> {
  const task = await lab.task('c', WRITES, {
    stdin: true,
    edit,
    stdout: `binary://${logger(lab, 'logger', script)}${query}`,
  });
  await task.start();
  const client = await task.stdio.input();
  return { task, go: () => client.write('go\n') };
}

const isTold = (lab: Lab, text: RegExp): Promise<unknown> =>
  eventually(`the shim's log has ${text}`, () => text.test(lab.log));

shimTest(
  'field 24: by default a logger that dies blocks the container once its pipe is full, without a signal; and Delete is not held up',
  async (lab) => {
    const { task, go } = await writer(lab, '');
    await isTold(
      lab,
      /the logger of c \(pid \d+\) ended with status 7 before its input did; its output waits, and blocks/,
    );
    await go();
    await eventually('the pipe is full', () => {
      process.kill(task.shim.pid, 'SIGUSR1');
      return [...lab.log.matchAll(/unread\\?":(\d+)/g)].some(([, n]) => Number(n) > 60_000);
    });
    assert.ok(await isPending(task.wait()));
    assert.equal(task.err.text, '', 'it has not come to the end');
    await within('the end', task.remove(), 9_000);
    await isTold(
      lab,
      /\d+ bytes of the output of c were (dropped, as its logger had ended|never read by its logger, and are lost)/,
    );
  },
  { skip: hawserOnly },
);

shimTest(
  "drop: what comes after the logger's death is counted, and the container goes on",
  async (lab) => {
    const { task, go } = await writer(lab, '?hawser.on-death=drop');
    await isTold(lab, /ended with status 7 before its input did; its output is dropped from now on/);
    await go();
    await task.err.saw('20000\n');
    await eventually('the state dump says how much', () => {
      process.kill(task.shim.pid, 'SIGUSR1');
      return new RegExp(`dropped\\\\?":${REST.length}\\b`).test(lab.log);
    });
    await task.remove();
    await isTold(lab, new RegExp(`${REST.length} bytes of the output of c were dropped, as its logger had ended`));
  },
  { skip: hawserOnly },
);

shimTest(
  "spill: what comes after the logger's death is in the file when Delete returns, whole",
  async (lab) => {
    const spill = join(lab.dir, 'spilled', 'c.log');
    const { task, go } = await writer(lab, `?a=b&hawser.on-death=spill:${encodeURIComponent(spill)}`);
    await isTold(lab, /its output goes to .*spilled\/c\.log from now on/);
    await go();
    await task.err.saw('20000\n');
    await leavesNothing(task.shim, async () => {
      await task.exec('e', ['/bin/true'], { stdout: '', stderr: '' });
      await task.delete('e');
    });
    await task.remove();
    assert.equal(readFileSync(spill, 'utf8'), REST);
  },
  { skip: hawserOnly },
);

shimTest(
  'restart: a logger that dies is started anew, and not a line is lost',
  async (lab) => {
    const { task, go } = await writer(
      lab,
      '?hawser.on-death=restart',
      `if [ -e "$dir/again" ]; then ${COPY}; else touch "$dir/again"; ${DIES}; fi`,
    );
    await isTold(lab, /ended with status 7 before its input did; it is started anew/);
    await go();
    await task.err.saw('20000\n');
    await task.remove();
    assert.equal(written(lab, 'c.out'), `first\n${REST}`);
    assert.equal(isAlive(pidOf(lab, 'c')), false);
  },
  { skip: hawserOnly },
);

shimTest(
  'restart: a logger that can no longer be started is tried again until the container is deleted',
  async (lab) => {
    const { task, go } = await writer(
      lab,
      '?hawser.on-death=restart',
      `[ -e "$dir/again" ] && exit 9; touch "$dir/again"; ${DIES}`,
    );
    await isTold(lab, /cannot be started anew: .*ended with status 9/);
    await go();
    await leavesNothing(task.shim, async () => {
      await task.exec('e', ['/bin/true'], { stdout: '', stderr: '' });
      await task.delete('e');
    });
    await within('the end', task.remove(), 40_000);
    await isTold(lab, /bytes of the output of c were never read by its logger, and are lost/);
  },
  { skip: hawserOnly },
);

shimTest(
  "the policy may be an annotation of the container; a URI's own wins",
  async (lab) => {
    const annotated = (spec: TestSpec): void => {
      spec.annotations = { 'io.hawser.log.on-death': 'drop' };
    };
    const { task, go } = await writer(lab, '', DIES, annotated);
    await isTold(lab, /its output is dropped from now on/);
    await go();
    await task.err.saw('20000\n');
    const spill = join(lab.dir, 'spill');
    await task.exec('e', sh('echo first; read go; echo second'), {
      stdin: true,
      stdout: `binary://${join(lab.dir, 'logger')}?hawser.on-death=spill:${spill}`,
    });
    await task.start('e');
    await isTold(lab, /the logger of e .*its output goes to .*spill from now on/);
    const client = await FifoWriter.open(join(lab.dir, 'fifos', 'c-e-stdin'));
    await client.write('go\n');
    client.close();
    await task.wait('e');
    await task.delete('e');
    assert.equal(readFileSync(spill, 'utf8'), 'second\n');
    await task.remove();
  },
  { skip: hawserOnly },
);

shimTest(
  'a policy that is none is refused at Create and at Exec, and names what there is',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    const path = logger(lab, 'logger', COPY);
    for (const query of [
      'hawser.on-death=explode',
      'hawser.on-death=spill:',
      'hawser.on-death=spill:relative',
      'hawser.on-death=',
      'hawser.on-death',
    ]) {
      await fails(
        shim.create('c', uris(`binary://${path}?${query}`)),
        Code.InvalidArgument,
        /hawser\.on-death=.*: it is block, drop, restart, or spill:\/path\/to\/another\/file: invalid argument$/,
      );
    }
    await fails(
      shim.create('c', uris(`binary://${path}?hawser.unknown=1`)),
      Code.InvalidArgument,
      /hawser\.unknown is no key .* hawser\.on-death and hawser\.ready-timeout: invalid argument$/,
    );
    await fails(
      shim.create('c', uris(`binary://${path}?hawser.ready-timeout=soon`)),
      Code.InvalidArgument,
      /hawser\.ready-timeout=soon: it is a time/,
    );
    await fails(shim.create('c', uris('binary:///bad%zzescape')), Code.InvalidArgument, /unable to parse stdout uri/);
    assert.equal(existsSync(join(lab.dir, 'c.pid')), false, 'no logger was started');
    const task = await shim.create('c', { stdio: lab.stdio('fine') });
    await task.start();
    await fails(
      task.exec('e', ['/bin/true'], uris(`binary://${path}?hawser.on-death=explode`)),
      Code.InvalidArgument,
      /hawser\.on-death=explode/,
    );
    assert.equal((await task.run('e', sh('echo free'))).stdout, 'free\n');
    lab.bundle('d', undefined, (spec) => {
      spec.annotations = { 'io.hawser.log.on-death': 'explode' };
    });
    await fails(
      shim.create('d', uris(`binary://${path}`)),
      Code.InvalidArgument,
      /io\.hawser\.log\.on-death=explode: it is block/,
    );
  },
  { skip: hawserOnly },
);

shimTest(
  '30 containers with loggers, a third of which die, leave nothing behind',
  async (lab) => {
    lab.bundle('leader');
    const shim = await lab.shim('leader');
    const [good, dies] = [logger(lab, 'good', COPY), logger(lab, 'dies', 'exec 5>&-; read line <&3; exit 1')];
    const round = async (n: number): Promise<void> => {
      const uri =
        n % 3 === 0
          ? `binary://${dies}?hawser.on-death=${['block', 'drop', 'restart'][(n % 9) / 3]}`
          : `binary://${good}`;
      const task = await shim.add(`c${n}`, sh('echo one; echo two'), {
        ...uris(uri),
        stdio: lab.stdio(`c${n}`, uris(uri)),
      });
      await end(task);
    };
    await round(100);
    await leavesNothing(shim, async () => {
      for (let batch = 0; batch < 10; batch++)
        await Promise.all([round(batch * 3), round(batch * 3 + 1), round(batch * 3 + 2)]);
    });
    await shim.shutdown();
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly, timeout: 110_000 },
);
