/** A container has nothing that has a name on its host: what it may do to its streams, it does to pipes of its own, or to its terminal. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, within } from '../support/eventually.js';
import { hawserOnly, shimTest, type Lab, type Shim, type StdioOptions } from '../support/shim.js';
import { sh, type TestSpec } from '../support/spec.js';
import { STOCK_SHIM } from '../support/stock-shim.js';

const SIZE = 300_000;
const INPUT = 'what its client has to say\n'.repeat(5000);
const source = new URL('../support/intruder.c', import.meta.url).pathname;

/** What the intruder found, by descriptor: what each is, and what came of each thing that it tried. */
type Report = Record<'0' | '1' | '2', Record<string, string>>;

/** A place that containers of a lab see as /lab: the intruder is there, and what it reports. */
class Intrusion {
  readonly #dir: string;

  constructor(private readonly lab: Lab) {
    this.#dir = join(lab.dir, 'intrusion');
    mkdirSync(this.#dir);
    execFileSync('cc', ['-O1', '-static', '-o', join(this.#dir, 'intruder'), source]);
  }

  readonly edit = (spec: TestSpec): void => {
    spec.mounts.push({ destination: '/tmp', type: 'bind', source: this.#dir, options: ['bind'] });
  };

  args(name: string): string[] {
    return ['/tmp/intruder', `/tmp/${name}`, String(SIZE)];
  }

  report(name: string): Report {
    const report: Report = { 0: {}, 1: {}, 2: {} };
    for (const line of readFileSync(join(this.#dir, name), 'utf8').trim().split('\n')) {
      const [, fd, what, result] = /^([012]) (\S+) (.+)$/.exec(line)!;
      report[fd as '0'][what!] = result!;
    }
    return report;
  }

  /** All that the host has in the lab besides bundles, as far as somebody could have changed it. */
  host(): Record<string, unknown> {
    const about: Record<string, unknown> = {};
    for (const name of [
      ...readdirSync(join(this.lab.dir, 'fifos')).map((each) => `fifos/${each}`),
      'logs',
      '/dev/null',
    ]) {
      const path = name.startsWith('/') ? name : join(this.lab.dir, name);
      if (!existsSync(path)) continue;
      const { mode, uid, gid, nlink, rdev } = lstatSync(path);
      about[name] = { mode, uid, gid, nlink, rdev };
    }
    return about;
  }

  /** Every inode that has a name in the lab. */
  assertOwn(report: Report, kinds: RegExp): void {
    const named = new Set(
      [
        ...(readdirSync(this.lab.dir, { recursive: true }) as string[]).map((name) => join(this.lab.dir, name)),
        '/dev/null',
      ]
        .map((path) => lstatSync(path, { throwIfNoEntry: false }))
        .filter((stat) => stat !== undefined)
        .map(({ dev, ino }) => `${dev}:${ino}`),
    );
    for (const [fd, found] of Object.entries(report)) {
      assert.match(found.is!, kinds, `descriptor ${fd}`);
      assert.ok(!named.has(found.inode!), `descriptor ${fd} is ${found.is}, which the host has`);
    }
  }
}

/** Runs the intruder as a container and as an exec, with streams of this kind; gives what each found. */
async function intrude(
  intrusion: Intrusion,
  shim: Shim,
  id: string,
  streams: (name: string) => StdioOptions,
  check: (name: string, stdio: { out: () => Promise<string>; err: () => Promise<string> }) => Promise<void>,
): Promise<Report[]> {
  const { lab } = shim;
  const reports: Report[] = [];
  for (const exec of ['', 'e']) {
    const name = `${id}${exec}`;
    const options: StdioOptions = { stdin: true, ...streams(name) };
    const task = await shim.add(name, exec ? undefined : intrusion.args(name), {
      ...(exec ? {} : options),
      edit: intrusion.edit,
    });
    const before = intrusion.host();
    if (exec) await task.start();
    const stdio = exec ? await task.exec(exec, intrusion.args(name), options) : task.stdio;
    const held = intrusion.host();
    await task.start(exec);
    const client = await stdio.input();
    await client.write(INPUT);
    client.close();
    await shim.task.CloseIO({ id: name, execId: exec, stdin: true });
    assert.equal((await within('the exit', task.wait(exec))).exitStatus, 0);
    await task.delete(exec);
    await check(name, {
      out: async () => (await within('stdout', stdio.out!.ended)).toString(),
      err: async () => (await within('stderr', stdio.err!.ended)).toString(),
    });
    assert.deepEqual({ ...before, ...intrusion.host() }, { ...before, ...held }, 'nothing on the host is different');
    const report = intrusion.report(name);
    assert.equal(report[0].read, String(INPUT.length));
    reports.push(report);
    if (exec) await task.remove();
  }
  assert.doesNotMatch(lab.log, /copying the output to its end/);
  return reports;
}

const PIPES = /^pipe:/;
const all = 'x'.repeat(SIZE);

/** The same, but for the numbers of pipes. */
/** Whether a pipe can be made smaller depends on what happens to be in it (fcntl(2), F_SETPIPE_SZ, EBUSY). */
function comparable(report: Report): unknown {
  return Object.entries(report).map(([fd, { small: _, 'small-again': __, ...found }]) => ({
    ...found,
    fd,
    is: found.is!.replace(/\d+/, ''),
    inode: '',
  }));
}

shimTest('FIFOs: all that a container can change is a pipe, as it is with the Go shim', async (lab) => {
  const intrusion = new Intrusion(lab);
  const found: unknown[][] = [];
  for (const [id, binary] of [
    ['c', undefined],
    ['stock', STOCK_SHIM],
  ] as const) {
    lab.bundle(id);
    const shim = await lab.shim(id, binary === undefined ? {} : { binary });
    const reports = await intrude(
      intrusion,
      shim,
      id,
      () => ({}),
      async (_name, { out, err }) => {
        assert.deepEqual([await out(), await err()], [all, 'errors\n']);
      },
    );
    for (const report of reports) intrusion.assertOwn(report, PIPES);
    found.push(reports.map(comparable));
  }
  assert.deepEqual(found[0], found[1]);
});

shimTest(
  'files, by a path and by a URI: all that a container can change is a pipe',
  async (lab) => {
    const intrusion = new Intrusion(lab);
    mkdirSync(join(lab.dir, 'logs'));
    lab.bundle('c');
    const shim = await lab.shim('c');
    const log = (name: string): string => join(lab.dir, 'logs', name);
    for (const [id, uri] of [
      ['path', log],
      ['uri', (name: string) => `file://${log(name)}`],
      ['rotated', (name: string) => `file://${log(name)}?max-size=10m`],
    ] as const) {
      const reports = await intrude(
        intrusion,
        shim,
        id,
        (name) => {
          for (const stream of ['out', 'err']) writeFileSync(log(`${name}-${stream}`), 'before\n', { mode: 0o640 });
          return { stdout: uri(`${name}-out`), stderr: uri(`${name}-err`) };
        },
        (name) => {
          const [out, err] = ['out', 'err'].map((stream) => log(`${name}-${stream}`));
          assert.deepEqual(
            [readFileSync(out!, 'utf8'), readFileSync(err!, 'utf8')],
            [`before\n${all}`, 'before\nerrors\n'],
          );
          for (const path of [out!, err!]) {
            const { mode, uid, gid } = statSync(path);
            assert.deepEqual([mode & 0o7777, uid, gid], [0o640, 0, 0]);
          }
          return Promise.resolve();
        },
      );
      for (const report of reports) intrusion.assertOwn(report, PIPES);
    }
  },
  { skip: hawserOnly },
);

shimTest(
  'a logger: all that a container can change is a pipe between the two',
  async (lab) => {
    const intrusion = new Intrusion(lab);
    const logger = join(lab.dir, 'logger');
    writeFileSync(
      logger,
      `#!/bin/sh\nexec 5>&-\ncat <&3 >${lab.dir}/$CONTAINER_ID.out & cat <&4 >${lab.dir}/$CONTAINER_ID.err; wait\n`,
      { mode: 0o755 },
    );
    lab.bundle('c');
    const reports = await intrude(
      intrusion,
      await lab.shim('c'),
      'logged',
      () => ({ stdout: `binary://${logger}`, stderr: `binary://${logger}` }),
      (name) => {
        const id = name === 'logged' ? name : 'e';
        const text = (stream: string): string => readFileSync(join(lab.dir, `${id}.${stream}`), 'utf8');
        assert.deepEqual([text('out'), text('err')], [all, 'errors\n']);
        return Promise.resolve();
      },
    );
    for (const report of reports) intrusion.assertOwn(report, PIPES);
  },
  { skip: hawserOnly },
);

shimTest("a terminal is the container's own, and its client has all that is written to it", async (lab) => {
  const intrusion = new Intrusion(lab);
  const edit = (spec: TestSpec): void => {
    intrusion.edit(spec);
    spec.process.terminal = true;
  };
  const task = await lab.task('c', sh(`stty raw; /tmp/intruder /tmp/c ${SIZE} </dev/null`), { terminal: true, edit });
  const before = intrusion.host();
  await task.start();
  assert.equal((await within('the exit', task.wait())).exitStatus, 0);
  assert.equal((await within('the end', task.out.ended)).toString(), `${all}errors\n`);
  const report = intrusion.report('c');
  for (const fd of ['1', '2'] as const) assert.match(report[fd].is!, /^\/dev\/pts\/0$/);
  assert.deepEqual(intrusion.host(), before);
  await task.delete();
});

shimTest(
  "what stands for a stream that is not there is the container's own",
  async (lab) => {
    const intrusion = new Intrusion(lab);
    const before = intrusion.host();
    const none = { stdout: '', stderr: '' };
    // When it is gone, something else takes its place: the runtime wants something to be there.
    const task = await lab.task('c', sh('while [ -e /dev/null ]; do sleep 0.05; done; echo >/dev/null; sleep 1000'), {
      ...none,
      edit: intrusion.edit,
    });
    await task.start();
    const [own, has] = (await task.run('f', sh('stat -L -c %d:%i /dev/null /proc/self/fd/0'))).stdout
      .trim()
      .split('\n');
    // Whoever is given the host's must not go on: it would be changed.
    assert.equal(has, own);
    const { dev, ino } = statSync('/dev/null');
    assert.notEqual(has, `${dev}:${ino}`);
    // The first removes it, and the second has to do without.
    for (const [id, kind] of [
      ['e', /^\/dev\/null( \(deleted\))?$/],
      ['g', PIPES],
    ] as const) {
      await task.exec(id, intrusion.args(id), none);
      await task.start(id);
      assert.equal((await within('the exit', task.wait(id))).exitStatus, 0);
      await task.delete(id);
      await eventually('there is something in its place', () => existsSync(`/proc/${task.pid}/root/dev/null`));
      for (const { is } of Object.values(intrusion.report(id))) assert.match(is!, kind);
    }
    assert.deepEqual(intrusion.host()['/dev/null'], before['/dev/null']);
    await task.remove();
  },
  { skip: hawserOnly },
);

shimTest(
  'what goes by FIFOs is copied by nobody: pages are handed on, in and out',
  async (lab) => {
    const size = 32 << 20;
    // It stays, as what a process has read and written counts for its parent once it is gone.
    const task = await lab.task('c', sh('cat; sleep 1000'), { stdin: true });
    await task.start();
    const io = (): number =>
      [...readFileSync(`/proc/${task.shim.worker}/io`, 'utf8').matchAll(/^[rw]char: (\d+)/gm)].reduce(
        (sum, [, bytes]) => sum + Number(bytes),
        0,
      );
    const before = io();
    const client = await task.stdio.input();
    const block = Buffer.alloc(1 << 20, 'b');
    for (let n = 0; n < size / block.length; n++) await client.write(block);
    client.close();
    await task.shim.task.CloseIO({ id: 'c', stdin: true });
    await eventually('all has come', () => task.out.bytes === size);
    // Small amounts are written where a client has not read yet, and the shim answers calls meanwhile.
    assert.ok(io() - before < size / 4, `${io() - before} bytes went through the shim`);
    await task.remove();
  },
  { skip: hawserOnly },
);

shimTest(
  'Delete ends the FIFO of an exec whose output somebody in the background still has',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    // It goes on as long as somebody takes what it says.
    const stdio = await task.exec(
      'e',
      sh(`trap "" PIPE; (while echo on; do sleep 0.05; done 2>/dev/null; exec sleep 9) & echo over`),
      { stderr: '' },
    );
    await task.start('e');
    await task.wait('e');
    await within('Delete', task.delete('e'), 30_000);
    assert.match((await within('the end of stdout', stdio.out!.ended)).toString(), /^over$/m);
    await eventually('it has found that nobody reads', async () =>
      /^\s*\d+ .*sleep 9$/m.test((await task.run(`ps${Date.now()}`, ['/bin/ps'])).stdout),
    );
    await task.remove();
  },
  { skip: hawserOnly },
);

shimTest(
  'Delete loses nothing of a client that does not read just now, nor waits for it',
  async (lab) => {
    // What the container's pipe and its client's FIFO hold together.
    const size = 120_000;
    const task = await lab.task('c', sh(`head -c ${size} /dev/zero | tr '\\0' x`));
    task.out.pause();
    await task.start();
    await within('the exit', task.wait());
    await task.delete();
    task.out.resume();
    assert.equal((await within('the end', task.out.ended)).length, size);
    assert.doesNotMatch(lab.log, /copying the output to its end/);
  },
  { skip: hawserOnly },
);
