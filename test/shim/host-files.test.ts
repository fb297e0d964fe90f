/** What a container has of its host as its streams, and what it can do with that (contract §6.6): nothing but what a pipe allows. */
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { within } from '../support/eventually.js';
import { hawserOnly, shimTest, type Lab, type Task, type TaskOptions } from '../support/shim.js';
import { sh, type TestSpec } from '../support/spec.js';

const both = (uri: string): Pick<TaskOptions, 'stdout' | 'stderr'> => ({ stdout: uri, stderr: uri });

async function end(task: Task): Promise<void> {
  await task.start();
  await within('the exit', task.wait());
  await task.delete();
}

/** Runs a shell script whose output goes to a file, and gives what is in it. */
async function logged(
  lab: Lab,
  id: string,
  script: string,
  options: TaskOptions = {},
  uri = (path: string): string => `file://${path}`,
): Promise<{ text: string; path: string }> {
  const path = join(lab.dir, `${id}.log`);
  if (uri(path) === path) writeFileSync(path, '');
  await end(await lab.task(id, sh(script), { ...both(uri(path)), ...options }));
  return { text: readFileSync(path, 'utf8'), path };
}

const URIS = {
  'file://': (path: string): string => `file://${path}`,
  'a path': (path: string): string => path,
  rotated: (path: string): string => `file://${path}?max-size=1m`,
};

for (const [name, uri] of Object.entries(URIS)) {
  shimTest(`a log by ${name} can be added to by its container, and nothing else`, async (lab) => {
    const { text, path } = await logged(
      lab,
      'c',
      `
      echo one; echo two >/dev/stdout; echo three >/dev/stderr; echo four >&2; : >/proc/self/fd/1; : >/proc/self/fd/2
      chmod 4755 /proc/self/fd/1; chown 1000 /proc/self/fd/1; truncate -s 0 /proc/self/fd/1; (ulimit -f 0; echo five); readlink /proc/self/fd/1`,
      {},
      uri,
    );
    assert.match(text, /^one\ntwo\nthree\nfour\n(.*\n)?five\npipe:\[\d+\]\n$/s);
    const { mode, uid } = statSync(path);
    assert.deepEqual([mode & 0o7777, uid], [0o644, 0]);
  });
}

shimTest(
  'standard output and errors in one file stay in the order in which they were written',
  async (lab) => {
    const script = 'i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo $i; i=$((i+1)); echo $i >&2; done';
    const lines = Array.from({ length: 500 }, (_, i) => `${i + 1}\n`).join('');
    assert.equal((await logged(lab, 'c', script)).text, lines);
    const one = lab.fifo('one');
    const reader = lab.reader(one);
    await end(await lab.task('d', sh(script), both(one)));
    assert.equal((await within('the end', reader.ended)).toString(), lines);
  },
  { skip: hawserOnly },
);

shimTest('the log of a container with a user namespace, or of another user, belongs to root', async (lab) => {
  const user = (spec: TestSpec): void => {
    spec.process.user = { uid: 1000, gid: 1000 };
  };
  const { text, path } = await logged(lab, 'c', 'echo one; echo two >/dev/stdout', {
    edit: user,
    options: { ioUid: 1000, ioGid: 1000 },
  });
  assert.equal(text, 'one\ntwo\n');
  assert.equal(statSync(path).uid, 0);
});

shimTest('an exec has no file either', async (lab) => {
  const path = join(lab.dir, 'e.log');
  const task = await lab.task('c');
  await task.start();
  await task.exec('e', sh('echo one; echo two >/dev/stdout; readlink /proc/self/fd/1'), both(`file://${path}`));
  await task.start('e');
  await task.wait('e');
  await task.delete('e');
  assert.match(readFileSync(path, 'utf8'), /^one\ntwo\npipe:/);
  await task.remove();
});

shimTest(
  'input from a file comes by a pipe, whole, with its end; the file cannot be written',
  async (lab) => {
    const path = join(lab.dir, 'input');
    const text = 'x'.repeat(200_000);
    writeFileSync(path, text);
    const task = await lab.task(
      'c',
      sh('readlink /proc/self/fd/0; : >/proc/self/fd/0; chmod 777 /proc/self/fd/0; wc -c'),
      { stdin: path },
    );
    await task.start();
    await within('the exit', task.wait());
    assert.match((await task.out.ended).toString(), /^pipe:\[\d+\]\n200000\n$/);
    assert.deepEqual([readFileSync(path, 'utf8') === text, statSync(path).mode & 0o777], [true, 0o644]);
    await task.delete();
    // A process that reads nothing of it.
    await end(await task.shim.add('d', ['/bin/true'], { stdin: path }));
    // At its end at once, and never.
    await end(await task.shim.add('e', ['/bin/cat'], { stdin: '/dev/null' }));
    await end(await task.shim.add('f', sh('head -c 100000 >/dev/null'), { stdin: '/dev/zero' }));
  },
  { skip: hawserOnly },
);

shimTest(
  'a terminal reads a file, and writes to one',
  async (lab) => {
    const [input, output] = [join(lab.dir, 'input'), join(lab.dir, 'output.log')];
    writeFileSync(input, 'a line\n');
    const task = await lab.task('c', sh('read line; echo "it is $line"'), {
      stdin: input,
      stdout: `file://${output}`,
      terminal: true,
      edit: (spec) => {
        spec.process.terminal = true;
      },
    });
    await end(task);
    assert.match(readFileSync(output, 'utf8'), /it is a line\r\n/);
  },
  { skip: hawserOnly },
);

shimTest('a device is written to, and not given away', async (lab) => {
  const task = await lab.task(
    'c',
    sh('echo one; echo two >/dev/stdout; case $(readlink /proc/1/fd/1) in pipe:*) exit 7;; esac'),
    both('file:///dev/null'),
  );
  await task.start();
  assert.equal((await within('the exit', task.wait())).exitStatus, 7);
  await task.delete();
  assert.ok(statSync('/dev/null').isCharacterDevice());
});

shimTest(
  "standard error is a pipe of its own, copied into the client's FIFO",
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    assert.match(readlinkSync(`/proc/${task.pid}/fd/2`), /^pipe:/);
    await task.remove();
  },
  { skip: hawserOnly },
);
