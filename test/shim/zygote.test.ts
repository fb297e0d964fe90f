/**
 * A zygote: a shim may be forked from a process that an earlier start has booted. Nobody can tell, and nothing depends on there
 * being one.
 * Begins first: it takes more than a minute.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { containerd, google, pack } from '../../src/api/index.js';
import { top } from '../support/daemons.js';
import { eventually, within } from '../support/eventually.js';
import { isForked, stateOf } from '../support/debug.js';
import { aheadIn, allProcesses, cgroupDir, isAlive, processInfo, isIdleZygote, zygotesIn } from '../support/machine.js';
import { hawserOnly, SHIM, shimTest, type ActionOptions, type Lab, type Shim } from '../support/shim.js';

const ZYGOTES = { HAWSER_ZYGOTE: '600' };
const options: { skip: string | false } = { skip: hawserOnly };

function zygoteOf(lab: Lab): number | undefined {
  return zygotesIn(lab.runDir)[0];
}

/** The zygote, once it has rehearsed: it shows its own words, and waits in poll(2), not in the event loop's epoll_wait(2). */
function readyZygote(lab: Lab): Promise<number> {
  return eventually('a zygote waits', () => {
    const pid = zygoteOf(lab);
    return pid !== undefined && isIdleZygote(pid) ? pid : undefined;
  });
}

/** With all of its threads, and so with what it had open and locked. */
function gone(pid: number): Promise<boolean> {
  return eventually('it is gone', () => !existsSync(`/proc/${pid}`));
}

/** The process that the zygote has forked ahead, once it waits. */
function aheadOf(lab: Lab): Promise<number> {
  return eventually('somebody was forked ahead', () => aheadIn(lab.runDir)[0]);
}

/** What a process has in its memory of files, in kB. */
function ofFiles(pid: number | 'self'): number {
  return Number(/^RssFile:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

/** Where the zygote waits. */
function socketOf(lab: Lab): string {
  return join(
    lab.runDir,
    readdirSync(lab.runDir).find((name) => /^zygote-\w+$/.test(name))!,
  );
}

async function start(lab: Lab, id: string, action: ActionOptions = {}): Promise<Shim> {
  if (!existsSync(lab.bundlePath(id))) lab.bundle(id);
  return lab.shim(id, { ...action, env: { ...ZYGOTES, ...action.env } });
}

async function end(...shims: Shim[]): Promise<void> {
  for (const shim of shims) await shim.shutdown();
}

/** Everything about a process that is inherited, or shown of it. */
function looksOf(pid: number, id: string): Record<string, unknown> {
  const text = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'latin1');
  const status = text('status')
    .split('\n')
    .filter((line) => /^(Name|Umask|Uid|Gid|Groups|NoNewPrivs|Seccomp|SigBlk|SigIgn|SigCgt|Cap|Cpus|Mems)/.test(line));
  const stat = text('stat')
    .slice(text('stat').lastIndexOf(')') + 2)
    .split(' ');
  return {
    status,
    cgroup: text('cgroup'),
    limits: text('limits'),
    oom: text('oom_score_adj'),
    filter: text('coredump_filter'),
    words: text('cmdline').replaceAll(id, 'ID').split('\0'),
    environment: text('environ')
      .split('\0')
      .filter(
        (setting) =>
          !/^(HAWSER_(REPLY_FD|LISTENER_FD|SOCKET|DAEMON_PID|ARENAS|LAUNCHED_AT|ANSWERED_AT)|MALLOC_ARENA_MAX)=/.test(
            setting,
          ),
      )
      .sort(),
    cwd: readlinkSync(`/proc/${pid}/cwd`).replaceAll(id, 'ID'),
    root: readlinkSync(`/proc/${pid}/root`),
    namespaces: readdirSync(`/proc/${pid}/ns`).map((name) => readlinkSync(`/proc/${pid}/ns/${name}`)),
    leadsGroup: Number(stat[2]) === pid,
    session: stat[3],
    parent: stat[1],
    nice: stat[16],
    policy: stat[38],
    // Of each thread; a forked process has one.
    policies: [
      ...new Set(
        readdirSync(`/proc/${pid}/task`).map(
          (task) => readFileSync(`/proc/${pid}/task/${task}/stat`, 'latin1').split(') ')[1]!.split(' ')[38],
        ),
      ),
    ],
  };
}

shimTest(
  'a shim is forked from the zygote that the start before has left',
  async (lab) => {
    const first = await start(lab, 'a');
    const zygote = await readyZygote(lab);
    assert.equal(processInfo(zygote)?.name, 'hawser-zygote', 'until it has a container it is not counted as a shim');
    const second = await start(lab, 'b');
    assert.equal(await isForked(second), true);
    assert.equal(await readyZygote(lab), zygote, 'it waits for the next');
    assert.notEqual(processInfo(second.pid)?.ppid, zygote, 'whose end is not for the zygote to see');
    const task = await second.create('b');
    await task.start();
    assert.equal((await task.remove()).exitStatus, 137);
    await end(first, second);
  },
  options,
);

shimTest(
  'a zygote has rehearsed, and nothing of that is left',
  async (lab) => {
    const first = await start(lab, 'a');
    const zygote = await readyZygote(lab);
    // Nor of what it has read of its program, which those that it forks read by themselves.
    assert.ok(
      ofFiles(zygote) < ofFiles('self') / 2,
      `${ofFiles(zygote)} kB of files, where this process has ${ofFiles('self')}`,
    );
    assert.deepEqual(
      readdirSync(lab.runDir).filter((name) => !name.startsWith('zygote-')),
      [],
    );
    assert.deepEqual(
      allProcesses().filter(({ ppid }) => ppid === zygote),
      [],
    );
    const second = await start(lab, 'b');
    assert.deepEqual([await isForked(second), await readyZygote(lab)], [true, zygote]);
    const { timeline, metrics, containers, orphans } = await stateOf(second);
    assert.deepEqual(
      timeline.map(({ what }) => what),
      ['launched', 'answered', 'forked', 'listening', 'serving'],
    );
    assert.deepEqual([containers, orphans.zombies], [[], []]);
    assert.equal(JSON.stringify(metrics).includes('"create"'), false, 'no command has been run for a container');
    await end(first, second);
  },
  options,
);

shimTest(
  'a rehearsal that was killed is cleaned up by the next',
  async (lab) => {
    mkdirSync(join(lab.runDir, 'r4194303'), { recursive: true, mode: 0o700 });
    const first = await start(lab, 'a');
    await readyZygote(lab);
    assert.deepEqual(
      readdirSync(lab.runDir).filter((name) => !name.startsWith('zygote-')),
      [],
    );
    await end(first);
  },
  options,
);

shimTest(
  'what is to become a zygote shows itself as one from the first moment, and not as another shim of the container',
  async (lab) => {
    const shim = await start(lab, 'only');
    const seen = allProcesses().filter(({ command, state }) => state !== 'Z' && command.includes('-id only '));
    assert.deepEqual(
      seen.map(({ pid }) => pid),
      [shim.pid],
    );
    assert.notEqual(zygoteOf(lab), undefined);
    await end(shim);
  },
  options,
);

shimTest(
  'a forked shim looks like one that was started for its container',
  async (lab) => {
    const env = { FANCY: 'a value with spaces and = signs', EMPTY: '', TERM: 'dumb' };
    const cold = await start(lab, 'cold', { env: { ...env, HAWSER_ZYGOTE: '600' } });
    const zygote = await readyZygote(lab);
    const warm = await start(lab, 'warm', { env });
    assert.deepEqual([await isForked(warm), await readyZygote(lab)], [true, zygote]);
    assert.deepEqual(looksOf(warm.pid, 'warm'), looksOf(cold.pid, 'cold'));
    assert.equal(processInfo(warm.pid)?.name, 'containerd-shim');
    assert.match(processInfo(warm.pid)!.command, /-id warm .* start$/);
    // libuv keeps a /dev/null from its first stream on, which the one that has no client yet has not had.
    const descriptors = (shim: Shim): string[] =>
      shim.descriptors().filter((line) => !line.includes('/bundles/') && line !== '/dev/null');
    await eventually('both have the same open', () => descriptors(warm).join() === descriptors(cold).join());
    await end(cold, warm);
  },
  options,
);

shimTest(
  'a forked shim gets what the daemon writes to the standard input',
  async (lab) => {
    const first = await start(lab, 'a');
    const zygote = await readyZygote(lab);
    const dir = join(lab.dir, 'sockets');
    const stdin = containerd.runtime.bootstrap.v1.BootstrapParams.encode({
      instanceId: 'b',
      namespace: lab.namespace,
      socketDir: dir,
    }).finish();
    const second = await start(lab, 'b', { stdin });
    assert.deepEqual([await isForked(second), await readyZygote(lab)], [true, zygote]);
    assert.equal(join(second.socket, '..'), dir);
    await end(first, second);
  },
  options,
);

for (const [what, wrap] of Object.entries({
  'another umask': ['sh', '-c', 'umask 027; exec "$0" "$@"'],
  'other limits': ['sh', '-c', 'ulimit -c 1234; exec "$0" "$@"'],
  'another niceness': ['nice', '-n', '3'],
  'another session': ['setsid', '--wait'],
  'another network namespace': ['unshare', '-n'],
  'another mount namespace': ['unshare', '-m'],
  'fewer capabilities': ['setpriv', '--bounding-set', '-sys_time'],
  'a setting that Node reads when it starts': ['env', 'TZ=Asia/Tokyo'],
  'core scheduling': ['env', 'SCHED_CORE='],
})) {
  const sameSurroundings = what === 'core scheduling';
  shimTest(
    `a zygote is ${sameSurroundings ? 'taken by an empty SCHED_CORE' : `not taken by a daemon with ${what}`}`,
    async (lab) => {
      const first = await start(lab, 'a');
      const zygote = await readyZygote(lab);
      lab.bundle('b');
      const result = spawnSync(wrap[0]!, [...wrap.slice(1), SHIM, ...lab.flags('b'), 'start'], {
        cwd: lab.bundlePath('b'),
        encoding: 'utf8',
        timeout: 30_000,
        env: {
          ...process.env,
          GOMAXPROCS: '2',
          MAX_SHIM_VERSION: '2',
          TTRPC_ADDRESS: lab.daemon.path,
          HAWSER_RUN_DIR: lab.runDir,
          HAWSER_ZYGOTE: '600',
        },
      });
      assert.deepEqual([result.status, result.stderr], [0, '']);
      const second = await lab.connect(result.stdout);
      assert.equal(await isForked(second), sameSurroundings);
      assert.equal(isAlive(zygote), true);
      await end(first, second);
    },
    options,
  );
}

shimTest(
  'a zygote that was killed costs nothing',
  async (lab) => {
    const first = await start(lab, 'a');
    const zygote = await readyZygote(lab);
    process.kill(zygote, 'SIGKILL');
    await gone(zygote);
    const second = await start(lab, 'b');
    assert.notEqual(await readyZygote(lab), zygote);
    await end(first, second);
  },
  options,
);

shimTest(
  'whoever comes next is taken by a process that was forked before; it is nothing without its zygote, and the zygote does without it',
  async (lab) => {
    const first = await start(lab, 'a');
    const zygote = await readyZygote(lab);
    const ahead = await aheadOf(lab);
    assert.equal(processInfo(ahead)?.name, 'hawser-zygote', 'it is not counted as a shim');
    assert.notEqual(processInfo(ahead)?.ppid, zygote);
    const second = await start(lab, 'b');
    assert.equal(await isForked(second), true);
    assert.equal(processInfo(ahead)?.name, 'hawser-worker');
    const next = await aheadOf(lab);
    assert.notEqual(next, ahead);
    // Somebody who says nothing has cost one, and nobody anything.
    const silent = connect(socketOf(lab));
    await once(silent, 'connect');
    silent.destroy();
    await eventually('it is gone', () => !isAlive(next));
    const third = await start(lab, 'c');
    assert.equal(await isForked(third), true);
    process.kill(await aheadOf(lab), 'SIGKILL');
    const fourth = await start(lab, 'd');
    assert.deepEqual([await isForked(fourth), await readyZygote(lab)], [true, zygote]);
    const last = await eventually('it looks again', () => aheadIn(lab.runDir)[0]);
    process.kill(zygote, 'SIGKILL');
    await Promise.all([gone(zygote), gone(last)]);
    await end(first, second, third, fourth);
  },
  options,
);

shimTest(
  'a zygote that hangs is passed over, and not asked again',
  async (lab) => {
    const first = await start(lab, 'a');
    const zygote = await readyZygote(lab);
    const socket = socketOf(lab);
    const ahead = await aheadOf(lab);
    for (const pid of [zygote, ahead]) process.kill(pid, 'SIGSTOP');
    const second = await start(lab, 'b');
    assert.equal(await isForked(second), false);
    assert.equal(existsSync(socket), false);
    for (const pid of [zygote, ahead]) process.kill(pid, 'SIGCONT');
    assert.equal(isAlive(zygote), true);
    const third = await start(lab, 'c');
    assert.equal(await isForked(third), false);
    await end(first, second, third);
  },
  options,
);

/** In the place of the zygote that waits: one that answers each word as it is told, or hangs up. */
async function traitor(
  lab: Lab,
  answer: (word: string) => string | undefined,
): Promise<{ words: string[]; socket: string; close: () => void }> {
  const zygote = await readyZygote(lab);
  const socket = socketOf(lab);
  process.kill(zygote, 'SIGKILL');
  await gone(zygote);
  const words: string[] = [];
  const server = createServer((connection) => {
    connection
      .on('error', () => undefined)
      .on('data', (chunk: Buffer) => {
        words.push(chunk.length === 1 ? chunk.toString('latin1') : 'job');
        const next = answer(words.at(-1)!);
        if (next === undefined) connection.destroy();
        else connection.write(next);
      });
  });
  spawnSync('rm', [socket]);
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return { words, socket, close: () => void server.close() };
}

for (const [what, stdinOf] of Object.entries({
  "the daemon's input is read again": (dir: string) =>
    Buffer.from(
      containerd.runtime.bootstrap.v1.BootstrapParams.encode({
        instanceId: 'b',
        namespace: 'hawser-test',
        socketDir: dir,
      }).finish(),
    ),
  'its place goes to a new shim': undefined,
})) {
  shimTest(
    `a zygote that dies with the job in hand costs nothing: ${what}`,
    async (lab) => {
      const first = await start(lab, 'a');
      const dying = await traitor(lab, (word) => (word === 'job' ? 'A' : undefined));
      const dir = join(lab.dir, 'sockets');
      const second = await start(lab, 'b', stdinOf ? { stdin: stdinOf(dir) } : {});
      dying.close();
      assert.deepEqual(dying.words, ['job', 'G'], 'it was given the job');
      assert.equal(join(second.socket, '..'), stdinOf ? dir : '/run/containerd/s');
      const task = await second.create('b');
      await task.start();
      assert.equal((await task.remove()).exitStatus, 137);
      await end(first, second);
    },
    options,
  );
}

shimTest(
  'a zygote that hangs up when it is asked is passed over',
  async (lab) => {
    const first = await start(lab, 'a');
    const gone = await traitor(lab, () => undefined);
    const second = await start(lab, 'b');
    assert.deepEqual(gone.words, ['job']);
    await eventually('the zygote of the second start', () => zygoteOf(lab) !== undefined);
    gone.close();
    await end(first, second);
  },
  options,
);

shimTest(
  'many starts at once all succeed, and leave one zygote',
  async (lab) => {
    const first = await start(lab, 'first');
    await readyZygote(lab);
    const shims = await Promise.all(Array.from({ length: 8 }, (_, i) => start(lab, `c${i}`)));
    assert.equal(new Set(shims.map(({ pid }) => pid)).size, 8);
    await readyZygote(lab);
    assert.equal(zygotesIn(lab.runDir).length, 1);
    await end(first, ...shims);
  },
  options,
);

shimTest(
  'a zygote leaves when it has had nothing to do, and leaves nothing',
  async (lab) => {
    const first = await start(lab, 'a', { env: { HAWSER_ZYGOTE: '1' } });
    await eventually(
      'it has come and gone',
      () => zygoteOf(lab) === undefined && existsSync(lab.runDir) && readdirSync(lab.runDir).length === 0,
    );
    await end(first);
  },
  options,
);

shimTest(
  'a zygote leaves when its daemon has ended, and its shims go on',
  async (lab) => {
    lab.bundle('a');
    lab.bundle('b');
    const script =
      'for id in a b; do cd "$dir/$id"; "$shim" "$@" -id $id start </dev/null >$id.out; done; read forever';
    const flags = lab.flags('a').filter((word, i, all) => word !== '-id' && all[i - 1] !== '-id');
    const daemon = spawn('sh', ['-c', script, 'daemon', ...flags], {
      stdio: ['pipe', 'inherit', 'inherit'],
      env: {
        ...process.env,
        TTRPC_ADDRESS: lab.daemon.path,
        HAWSER_RUN_DIR: lab.runDir,
        HAWSER_ZYGOTE: '600',
        dir: join(lab.bundlePath('a'), '..'),
        shim: SHIM,
      },
    });
    const answer = (id: string): Promise<string> =>
      eventually(`the shim of ${id} has answered`, () => {
        const file = join(lab.bundlePath(id), `${id}.out`);
        return (existsSync(file) && readFileSync(file, 'utf8').trim()) || undefined;
      });
    const first = await lab.connect(await answer('a'));
    const second = await lab.connect(await answer('b'));
    const zygote = await readyZygote(lab);
    const ahead = await aheadOf(lab);
    daemon.stdin.end();
    await eventually(
      'the zygote is gone, with its socket and the one that it forked ahead',
      () => !isAlive(zygote) && !isAlive(ahead) && readdirSync(lab.runDir).length === 0,
    );
    for (const [shim, id] of [
      [first, 'a'],
      [second, 'b'],
    ] as const) {
      const task = await shim.create(id);
      await task.start();
      assert.equal((await task.remove()).exitStatus, 137);
    }
    await end(first, second);
  },
  options,
);

shimTest(
  'a forked shim collects garbage as often as it must: it waits for no thread of its zygote',
  async (lab) => {
    const first = await start(lab, 'a');
    await readyZygote(lab);
    lab.bundle('b');
    const second = await start(lab, 'b');
    assert.equal(await isForked(second), true);
    mkdirSync(join(lab.runcRoot, lab.namespace), { recursive: true });
    const options = { binaryName: join(top, 'dist/hawser-stand-in') };
    // Each leaves some kilobytes; the collector comes often where little is in use. What stands in for an init ends by itself after some
    // seconds, in which a slow machine runs few of them.
    for (let round = 0; round < 80; round++) {
      const task = await second.add(`b${round}`, undefined, { stdout: '', stderr: '', options });
      await Promise.all(
        Array.from({ length: 15 }, async (_, n) => {
          await task.exec(`e${n}`, ['true'], { stdout: '', stderr: '' });
          await task.start(`e${n}`);
          await task.wait(`e${n}`);
          await task.delete(`e${n}`);
        }),
      );
      await task.start();
      await task.wait();
      await task.delete();
    }
    await end(first, second);
  },
  { ...options, timeout: 180_000 },
);

shimTest(
  'a zygote whose socket was removed makes room for another',
  async (lab) => {
    const first = await start(lab, 'a');
    const zygote = await readyZygote(lab);
    spawnSync('rm', [socketOf(lab)]);
    await eventually('it is gone', () => !isAlive(zygote));
    const second = await start(lab, 'b');
    assert.notEqual(await readyZygote(lab), zygote);
    await end(first, second);
  },
  options,
);

shimTest(
  'a start that comes while the zygote rehearses is served, and the rehearsal goes on',
  async (lab) => {
    const first = await start(lab, 'a');
    const zygote = await eventually('a zygote begins', () => zygoteOf(lab));
    const second = await start(lab, 'b');
    const task = await second.create('b');
    await task.start();
    assert.equal((await task.remove()).exitStatus, 137);
    assert.equal(await readyZygote(lab), zygote);
    assert.equal(await isForked(second), true);
    const own = second.descriptors().filter((line) => line.includes(`${lab.runDir}/`));
    assert.deepEqual(own, [], 'nothing of a rehearsal is open in it');
    await end(first, second);
  },
  options,
);

shimTest(
  'shims of one zygote know who they are, and end',
  async (lab) => {
    const first = await start(lab, 'a');
    await readyZygote(lab);
    const shims = [await start(lab, 'b'), await start(lab, 'c')];
    for (const shim of shims) {
      const state = await stateOf(shim);
      assert.equal(state.pid, shim.pid);
      assert.ok(allProcesses().some(({ pid, name }) => pid === shim.pid && name === 'containerd-shim'));
    }
    await end(first, ...shims);
    for (const { pid } of shims) await eventually('it ends', () => !isAlive(pid));
  },
  options,
);

shimTest(
  'there is no zygote where none is wanted, or where others could pretend to be one',
  async (lab) => {
    const off = await start(lab, 'a', { env: { HAWSER_ZYGOTE: 'off' } });
    assert.equal(existsSync(lab.runDir), false);
    mkdirSync(lab.runDir, { mode: 0o700 });
    chmodSync(lab.runDir, 0o777);
    const open = await start(lab, 'b');
    assert.deepEqual(readdirSync(lab.runDir), []);
    await end(off, open);
  },
  options,
);

shimTest(
  'a job that is no job is not taken, and the zygote waits on',
  async (lab) => {
    const first = await start(lab, 'a');
    const zygote = await readyZygote(lab);
    const socket = socketOf(lab);
    for (const garbage of ['', 'x', '\x0c\0\0\0\0\0\0\0\0\0\0\0', '\xff'.repeat(4096)]) {
      const client = spawn(process.execPath, [
        '-e',
        'const c=require("net").connect(process.argv[1]);c.end(Buffer.from(process.argv[2],"latin1"));c.on("error",()=>{}).resume()',
        socket,
        garbage.replaceAll('\0', '0'),
      ]);
      await new Promise((resolve) => client.once('exit', resolve));
    }
    assert.equal(isAlive(zygote), true);
    const second = await start(lab, 'b');
    assert.deepEqual([await isForked(second), await readyZygote(lab)], [true, zygote]);
    await end(first, second);
  },
  options,
);

shimTest(
  'the shim cgroup of the options is joined by a forked shim too',
  async (lab) => {
    const unified = existsSync('/sys/fs/cgroup/cgroup.controllers');
    const hierarchies = unified
      ? ['.']
      : readdirSync('/sys/fs/cgroup').filter(
          (name) => name !== 'unified' && existsSync(join('/sys/fs/cgroup', name, 'cgroup.procs')),
        );
    for (const hierarchy of hierarchies)
      mkdirSync(join('/sys/fs/cgroup', hierarchy, lab.cgroup, 'shim'), { recursive: true });
    const cpuset = '/sys/fs/cgroup/cpuset';
    // On v1 nothing can be put into a cgroup that has no processors yet.
    for (const path of existsSync(cpuset) ? [lab.cgroup, `${lab.cgroup}/shim`] : []) {
      for (const file of ['cpuset.cpus', 'cpuset.mems'])
        writeFileSync(join(cpuset, path, file), readFileSync(join(cpuset, file)));
    }
    const first = await start(lab, 'a');
    const zygote = await readyZygote(lab);
    const second = await start(lab, 'b', {
      stdin: google.protobuf.Any.encode(
        pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { shimCgroup: `${lab.cgroup}/shim` }),
      ).finish(),
    });
    assert.deepEqual([await isForked(second), await readyZygote(lab)], [true, zygote]);
    assert.match(
      readFileSync(`/proc/${second.pid}/cgroup`, 'latin1'),
      new RegExp(`${unified ? '0::' : 'memory:'}${lab.cgroup}/shim`),
    );
    await end(first, second);
  },
  options,
);

shimTest(
  'end-zygotes ends those of its own service, with what they have in the run directory, and no shim',
  async (lab) => {
    const shim = await start(lab, 'a');
    const zygote = await readyZygote(lab);
    // As if it rehearsed still.
    mkdirSync(join(lab.runDir, `r${zygote}`, 'bundle'), { recursive: true });
    writeFileSync(join(lab.runDir, `r${zygote}`, 'bundle', 'config.json'), '{}');
    // Its stand-in for a container, which is told where its files are.
    const standIn = spawn('tail', ['-f', join(lab.runDir, `r${zygote}`, 'bundle', 'config.json')], { stdio: 'ignore' });
    const standInEnds = once(standIn, 'exit');
    const other = cgroupDir('pids', `${lab.cgroup}-other`);
    mkdirSync(other, { recursive: true });
    const endZygotes = (before = ''): void => {
      const { status, stderr } = spawnSync('sh', ['-c', `${before}exec ${SHIM} end-zygotes`], {
        env: { ...process.env, HAWSER_RUN_DIR: lab.runDir },
        encoding: 'utf8',
      });
      assert.equal(status, 0, stderr);
    };
    try {
      endZygotes(`echo $$ >${other}/cgroup.procs; `);
      assert.equal(zygoteOf(lab), zygote, 'it is in another cgroup');
    } finally {
      rmdirSync(other);
    }
    const ahead = await aheadOf(lab);
    endZygotes();
    assert.deepEqual(
      [isAlive(zygote), isAlive(ahead), readdirSync(lab.runDir).filter((name) => /^(zygote-|r\d)/.test(name))],
      [false, false, []],
    );
    await within('the stand-in to end', standInEnds);
    // With nothing there it has nothing to say.
    endZygotes();
    assert.ok(isAlive(shim.pid));
    const next = await start(lab, 'b');
    assert.notEqual(await readyZygote(lab), zygote);
    await end(shim, next);
  },
  options,
);
