/**
 * A warm spare: a start may be taken over by a shim that an earlier one has booted. Nobody can tell, and nothing depends
 * on there being one.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { containerd, google, pack } from '../../src/api/index.js';
import { eventually } from '../support/eventually.js';
import { stateOf } from '../support/debug.js';
import { allProcesses, isAlive, processInfo } from '../support/machine.js';
import { hawserOnly, SHIM, shimTest, type ActionOptions, type Lab, type Shim } from '../support/shim.js';

const SPARES = { HAWSER_SPARE: '600' };
const options: { skip: string | false } = { skip: hawserOnly };

function spareOf(lab: Lab): number | undefined {
  return allProcesses().find(({ command, state }) => state !== 'Z' && command.includes(` spare ${lab.runDir}/`))?.pid;
}

/** The spare, once it has rehearsed: it shows its own words, and waits in poll(2), not in the event loop's epoll_wait(2). */
function readySpare(lab: Lab): Promise<number> {
  return eventually('a spare waits', () => {
    const pid = spareOf(lab);
    return pid !== undefined &&
      readFileSync(`/proc/${pid}/environ`, 'latin1') === '' &&
      /^(do_sys_poll|poll_schedule_timeout)/.test(readFileSync(`/proc/${pid}/wchan`, 'latin1'))
      ? pid
      : undefined;
  });
}

/** Where the spare waits. */
function socketOf(lab: Lab): string {
  return join(
    lab.runDir,
    readdirSync(lab.runDir).find((name) => /^spare-\w+$/.test(name))!,
  );
}

async function start(lab: Lab, id: string, action: ActionOptions = {}): Promise<Shim> {
  if (!existsSync(lab.bundlePath(id))) lab.bundle(id);
  return lab.shim(id, { ...action, env: { ...SPARES, ...action.env } });
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
    policies: readdirSync(`/proc/${pid}/task`)
      .map((task) => readFileSync(`/proc/${pid}/task/${task}/stat`, 'latin1').split(') ')[1]!.split(' ')[38])
      .sort(),
  };
}

shimTest(
  'a start is taken over by the spare that the one before has left',
  async (lab) => {
    const first = await start(lab, 'a');
    const spare = await readySpare(lab);
    assert.equal(processInfo(spare)?.name, 'hawser-spare', 'until it has a container it is not counted as a shim');
    const second = await start(lab, 'b');
    assert.equal(second.pid, spare);
    const next = await readySpare(lab);
    assert.notEqual(next, spare);
    const task = await second.create('b');
    await task.start();
    assert.equal((await task.remove()).exitStatus, 137);
    await end(first, second);
  },
  options,
);

shimTest(
  'a spare has rehearsed, and nothing of that is left',
  async (lab) => {
    const first = await start(lab, 'a');
    const spare = await readySpare(lab);
    assert.deepEqual(
      readdirSync(lab.runDir).filter((name) => !name.startsWith('spare-')),
      [],
    );
    assert.deepEqual(
      allProcesses().filter(({ ppid }) => ppid === spare),
      [],
    );
    const second = await start(lab, 'b');
    assert.equal(second.pid, spare);
    const { timeline, metrics, containers, orphans } = await stateOf(second);
    assert.deepEqual(
      timeline.map(({ what }) => what),
      ['launched', 'answered', 'taken on', 'listening', 'serving'],
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
    await readySpare(lab);
    assert.deepEqual(
      readdirSync(lab.runDir).filter((name) => !name.startsWith('spare-')),
      [],
    );
    await end(first);
  },
  options,
);

shimTest(
  'what is to become a spare shows itself as one from the first moment, and not as another shim of the container',
  async (lab) => {
    const shim = await start(lab, 'only');
    const seen = allProcesses().filter(({ command, state }) => state !== 'Z' && command.includes('-id only '));
    assert.deepEqual(
      seen.map(({ pid }) => pid),
      [shim.pid],
    );
    assert.notEqual(spareOf(lab), undefined);
    await end(shim);
  },
  options,
);

shimTest(
  'a spare looks like a shim that was started for its container',
  async (lab) => {
    const env = { FANCY: 'a value with spaces and = signs', EMPTY: '', TERM: 'dumb' };
    const cold = await start(lab, 'cold', { env: { ...env, HAWSER_SPARE: '600' } });
    const spare = await readySpare(lab);
    const warm = await start(lab, 'warm', { env });
    assert.equal(warm.pid, spare);
    assert.deepEqual(looksOf(warm.pid, 'warm'), looksOf(cold.pid, 'cold'));
    assert.equal(processInfo(warm.pid)?.name, 'containerd-shim');
    assert.match(processInfo(warm.pid)!.command, /-id warm .* start$/);
    const descriptors = (shim: Shim): string[] => shim.descriptors().filter((line) => !line.includes('/bundles/'));
    await eventually('both have the same open', () => descriptors(warm).join() === descriptors(cold).join());
    await end(cold, warm);
  },
  options,
);

shimTest(
  'a spare gets what the daemon writes to the standard input',
  async (lab) => {
    const first = await start(lab, 'a');
    const spare = await readySpare(lab);
    const dir = join(lab.dir, 'sockets');
    const stdin = containerd.runtime.bootstrap.v1.BootstrapParams.encode({
      instanceId: 'b',
      namespace: lab.namespace,
      socketDir: dir,
    }).finish();
    const second = await start(lab, 'b', { stdin });
    assert.equal(second.pid, spare);
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
    `a spare is ${sameSurroundings ? 'taken by an empty SCHED_CORE' : `not taken by a daemon with ${what}`}`,
    async (lab) => {
      const first = await start(lab, 'a');
      const spare = await readySpare(lab);
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
          HAWSER_SPARE: '600',
        },
      });
      assert.deepEqual([result.status, result.stderr], [0, '']);
      const second = await lab.connect(result.stdout);
      assert.equal(second.pid === spare, sameSurroundings);
      assert.equal(isAlive(spare), true);
      await end(first, second);
    },
    options,
  );
}

shimTest(
  'a spare that was killed costs nothing',
  async (lab) => {
    const first = await start(lab, 'a');
    const spare = await readySpare(lab);
    process.kill(spare, 'SIGKILL');
    await eventually('it is gone', () => !isAlive(spare));
    const second = await start(lab, 'b');
    assert.notEqual(await readySpare(lab), spare);
    await end(first, second);
  },
  options,
);

shimTest(
  'a spare that hangs is passed over, and not asked again',
  async (lab) => {
    const first = await start(lab, 'a');
    const spare = await readySpare(lab);
    const socket = socketOf(lab);
    process.kill(spare, 'SIGSTOP');
    const second = await start(lab, 'b');
    assert.notEqual(second.pid, spare);
    assert.equal(existsSync(socket), false);
    process.kill(spare, 'SIGCONT');
    assert.equal(isAlive(spare), true);
    const third = await start(lab, 'c');
    assert.notEqual(third.pid, spare);
    await end(first, second, third);
  },
  options,
);

/** In the place of the spare that waits: one that answers each word as it is told, or hangs up. */
async function traitor(
  lab: Lab,
  answer: (word: string) => string | undefined,
): Promise<{ words: string[]; socket: string; close: () => void }> {
  const spare = await readySpare(lab);
  const socket = socketOf(lab);
  process.kill(spare, 'SIGKILL');
  await eventually('it is gone', () => !isAlive(spare));
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
    `a spare that dies with the job in hand costs nothing: ${what}`,
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
  'a spare that hangs up when it is asked is passed over',
  async (lab) => {
    const first = await start(lab, 'a');
    const gone = await traitor(lab, () => undefined);
    const second = await start(lab, 'b');
    assert.deepEqual(gone.words, ['job']);
    await eventually('the spare of the second start', () => spareOf(lab) !== undefined);
    gone.close();
    await end(first, second);
  },
  options,
);

shimTest(
  'many starts at once all succeed, and leave one spare',
  async (lab) => {
    const first = await start(lab, 'first');
    await readySpare(lab);
    const shims = await Promise.all(Array.from({ length: 8 }, (_, i) => start(lab, `c${i}`)));
    assert.equal(new Set(shims.map(({ pid }) => pid)).size, 8);
    await readySpare(lab);
    const spares = allProcesses().filter(
      ({ command, state }) => state !== 'Z' && command.includes(` spare ${lab.runDir}/`),
    );
    assert.equal(spares.length, 1);
    await end(first, ...shims);
  },
  options,
);

shimTest(
  'a spare leaves when it has had nothing to do, and leaves nothing',
  async (lab) => {
    const first = await start(lab, 'a', { env: { HAWSER_SPARE: '1' } });
    await eventually(
      'it has come and gone',
      () => spareOf(lab) === undefined && existsSync(lab.runDir) && readdirSync(lab.runDir).length === 0,
    );
    await end(first);
  },
  options,
);

shimTest(
  'there is no spare where none is wanted, or where others could pretend to be one',
  async (lab) => {
    const off = await start(lab, 'a', { env: { HAWSER_SPARE: 'off' } });
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
  'a job that is no job is not taken, and the spare waits on',
  async (lab) => {
    const first = await start(lab, 'a');
    const spare = await readySpare(lab);
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
    assert.equal(isAlive(spare), true);
    const second = await start(lab, 'b');
    assert.equal(second.pid, spare);
    await end(first, second);
  },
  options,
);

shimTest(
  'the shim cgroup of the options is joined by a spare too',
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
    const spare = await readySpare(lab);
    const second = await start(lab, 'b', {
      stdin: google.protobuf.Any.encode(
        pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { shimCgroup: `${lab.cgroup}/shim` }),
      ).finish(),
    });
    assert.equal(second.pid, spare);
    assert.match(
      readFileSync(`/proc/${second.pid}/cgroup`, 'latin1'),
      new RegExp(`${unified ? '0::' : 'memory:'}${lab.cgroup}/shim`),
    );
    await end(first, second);
  },
  options,
);
