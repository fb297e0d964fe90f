/** "Why is it stuck?": the state dump, in every way that a shim or its surroundings can hang (contract §6.10, §8). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { RequestState } from '../../src/shim/debug/state.js';
import { containerIn, httpGet, pendingRequest, stateOf } from '../support/debug.js';
import { eventually, patiently, within } from '../support/eventually.js';
import { processInfo } from '../support/machine.js';
import { hawserOnly, shimTest, STATUS, type Lab, type Task } from '../support/shim.js';
import { hostPid, sh } from '../support/spec.js';

const only = { skip: hawserOnly } as const;

/** A runc of which any command hangs while a file `hang-<command>` is in the lab's directory. */
function hangingRunc(lab: Lab): string {
  return lab.fakeRunc(
    'runc-hangs',
    'if [ -e "$lab/hang-$command" ]; then touch "$lab/hung-$command"; while [ -e "$lab/hang-$command" ]; do sleep 0.05; done; fi',
  );
}

/** Runs something whose runtime command hangs, looks meanwhile, and lets it go on. */
async function whileHanging<T>(
  lab: Lab,
  command: string,
  work: () => Promise<T>,
  look: () => Promise<void>,
): Promise<T> {
  writeFileSync(join(lab.dir, `hang-${command}`), '');
  const working = work();
  working.catch(() => undefined);
  try {
    await eventually(`runc ${command} hangs`, () => existsSync(join(lab.dir, `hung-${command}`)));
    await look();
  } finally {
    rmSync(join(lab.dir, `hang-${command}`));
  }
  return within(`the end of what ran runc ${command}`, working);
}

/** What the daemon asks when it starts must be answered, whatever hangs. */
async function answers(task: Task): Promise<void> {
  const { shimPid } = await within('Connect', task.shim.task.Connect({ id: task.id }));
  assert.equal(shimPid, task.shim.pid);
  await within('State', task.state());
  const { processes } = await within('Pids', task.shim.task.Pids({ id: task.id }));
  assert.ok(processes.length > 0);
}

const waitsForCommand =
  (name: string) =>
  (request: RequestState): boolean =>
    request.waitsFor.some(({ what, text }) => what === 'runtime command' && text.includes(` ${name}, `));

shimTest(
  'fields 34 and 41: the dump names the request and the runtime command it waits for, whichever command hangs',
  async (lab) => {
    const binaryName = hangingRunc(lab);
    lab.bundle('c');
    const shim = await lab.shim('c');
    let alive: Task | undefined;
    const look = (method: string, command: string, exec?: string) => async (): Promise<void> => {
      if (alive) await answers(alive);
      const { request, state } = await pendingRequest(shim, method, waitsForCommand(command));
      assert.deepEqual(
        { container: request.container, exec: request.exec, abandoned: request.abandoned },
        { container: 'c', exec, abandoned: false },
      );
      assert.ok(
        request.ageMs >= 0 && request.deadlineInMs! > 0 && request.deadlineInMs! <= patiently(60_000),
        JSON.stringify(request),
      );
      assert.equal(request.client?.pid, process.pid);
      const [reason] = request.waitsFor;
      const running = state.runtimeCommands.find(({ name }) => name === command);
      assert.equal(reason?.pid, running?.pid);
      assert.equal(running?.argv[0], binaryName);
      assert.ok(running.argv.includes('c') && running.ageMs >= 0);
      assert.equal(running.process?.name, 'runc-hangs');
      // What hangs is often not the runtime, but something that it runs.
      await eventually('its child is in the dump', async () =>
        JSON.stringify(
          (await stateOf(shim)).runtimeCommands.find((one) => one.name === command)?.process?.children ?? [],
        ).includes('"name":"sleep"'),
      );
    };
    const task = await whileHanging(
      lab,
      'create',
      () => shim.create('c', { options: { binaryName } }),
      async () => {
        await look('Create', 'create')();
        assert.equal(containerIn(await stateOf(shim), 'c').state, 'creating');
        assert.equal((await stateOf(shim)).orphans.adoptionAgesMs.length, 1);
      },
    );
    alive = task;
    await whileHanging(lab, 'start', () => task.start(), look('Start', 'start'));
    await task.exec('e', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
    await whileHanging(lab, 'exec', () => task.start('e'), look('Start', 'exec', 'e'));
    // By an id that is also the name of the init's own files, and by one that looks like another's file.
    for (const id of ['init', 'init.exec', 'e.pid']) {
      await task.exec(id, ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
      await whileHanging(lab, 'exec', () => task.start(id), look('Start', 'exec', id));
    }
    await whileHanging(lab, 'pause', () => shim.task.Pause({ id: 'c' }), look('Pause', 'pause'));
    await shim.task.Resume({ id: 'c' });
    await whileHanging(lab, 'kill', () => task.kill(9), look('Kill', 'kill'));
    await task.wait();
    alive = undefined;
    await whileHanging(lab, 'delete', () => shim.task.Delete({ id: 'c' }), look('Delete', 'delete'));
    const state = await stateOf(shim);
    assert.deepEqual(
      [state.containers, state.requests, state.runtimeCommands, state.waits, state.orphans.adoptionAgesMs],
      [[], [], [], [], []],
    );
  },
  only,
);

shimTest(
  'field 41: the dump names the FIFO that nobody reads, of a container and of an exec',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    const stdout = lab.fifo('unread');
    const creating = shim.create('c', { stdout });
    const { request } = await pendingRequest(shim, 'Create', ({ waitsFor }) => waitsFor.length > 0);
    assert.equal(request.container, 'c');
    assert.deepEqual([request.waitsFor[0]?.what, request.waitsFor[0]?.subject], ['fifo reader', stdout]);
    lab.reader(stdout);
    const task = await within('Create', creating);
    await task.start();
    await task.exec('e', ['/bin/true'], { stdout: lab.fifo('e-out'), stderr: '' });
    const starting = task.start('e');
    const exec = (await pendingRequest(shim, 'Start', ({ waitsFor }) => waitsFor.length > 0)).request;
    assert.deepEqual(
      [exec.container, exec.exec, exec.waitsFor[0]?.subject],
      ['c', 'e', join(lab.dir, 'fifos', 'e-out')],
    );
    await answers(task);
    lab.reader(join(lab.dir, 'fifos', 'e-out'));
    await within('Start', starting);
  },
  only,
);

shimTest(
  'field 41: a request that waits for its turn says behind whom',
  async (lab) => {
    const task = await lab.task('c', undefined, { options: { binaryName: hangingRunc(lab) } });
    await task.start();
    const update = { id: 'c', resources: { type_url: 'x', value: Buffer.from('{}') } };
    let updating: Promise<unknown> | undefined;
    await whileHanging(
      lab,
      'pause',
      () => task.shim.task.Pause({ id: 'c' }),
      async () => {
        updating = task.shim.task.Update(update);
        const { request, state } = await pendingRequest(task.shim, 'Update', ({ waitsFor }) => waitsFor.length > 0);
        assert.deepEqual(
          request.waitsFor.map(({ what, behind }) => [what, behind?.map(({ method }) => method)]),
          [['turn', ['Pause']]],
        );
        assert.deepEqual(
          containerIn(state, 'c').operations.map(({ method }) => method),
          ['Pause', 'Update'],
        );
        assert.equal(containerIn(state, 'c').state, 'pausing');
      },
    );
    await updating;
    await task.shim.task.Resume({ id: 'c' });
  },
  only,
);

shimTest(
  "field 41: a Delete that waits for a reader of the terminal's output says so",
  async (lab) => {
    const stdout = lab.fifo('slow');
    // Full, and never read.
    const reader = openSync(stdout, constants.O_RDWR | constants.O_NONBLOCK);
    lab.defer(() => closeSync(reader));
    for (const length of [4096, 1]) {
      try {
        for (;;) writeSync(reader, Buffer.alloc(length));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
      }
    }
    const task = await lab.task('c', sh('echo some output; exec sleep 1000'), {
      terminal: true,
      stdout,
      edit: (spec) => {
        spec.process.terminal = true;
      },
    });
    await task.start();
    await eventually('it has written', () => processInfo(task.pid)?.name === 'sleep');
    await task.kill(9);
    await task.wait();
    const deleting = task.delete();
    const { request } = await pendingRequest(task.shim, 'Delete', ({ waitsFor }) => waitsFor.length > 0);
    assert.deepEqual([request.waitsFor[0]?.what, request.waitsFor[0]?.subject], ['output', 'c']);
    await within('Delete', deleting);
  },
  only,
);

shimTest(
  'field 2: every process has a watch of its own, and an exit that is known and not told says why',
  async (lab) => {
    const task = await lab.task('c', sh('sleep 1000 & echo up; wait'), {
      edit: hostPid,
      options: { binaryName: hangingRunc(lab) },
    });
    await task.start();
    await task.out.saw('up');
    await task.exec('e', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
    await task.start('e');
    const before = containerIn(await stateOf(task.shim), 'c');
    for (const one of [before, ...before.execs]) {
      assert.equal(one.exitWatched, true);
      assert.equal(one.process?.pid, one.pid);
      assert.ok(one.process.state);
      assert.equal(one.exit, undefined);
    }
    const waiting = task.wait();
    const { request } = await pendingRequest(task.shim, 'Wait', ({ waitsFor }) => waitsFor.length > 0);
    assert.deepEqual(
      request.waitsFor.map(({ what, pid }) => [what, pid]),
      [['exit', task.pid]],
    );
    await whileHanging(
      lab,
      'kill',
      () => {
        process.kill(task.pid, 'SIGKILL');
        return waiting;
      },
      async () => {
        const { request, state } = await pendingRequest(task.shim, 'Wait', waitsForCommand('kill'));
        assert.ok(
          request.waitsFor.some(({ what }) => what === 'execs'),
          JSON.stringify(request),
        );
        const container = containerIn(state, 'c');
        assert.deepEqual({ ...container.exit, at: '' }, { status: 137, at: '', told: false });
        assert.deepEqual(
          container.exitWaitsFor?.map(({ what }) => what),
          ['runtime command', 'execs'],
        );
        assert.equal(container.waiters, 1);
      },
    );
    assert.equal((await waiting).exitStatus, 137);
    const after = containerIn(await stateOf(task.shim), 'c');
    assert.deepEqual(
      [after.exit?.status, after.exit?.told, after.execs[0]?.exit?.status, after.execs[0]?.exit?.told],
      [137, true, 137, true],
    );
  },
  only,
);

shimTest(
  'bug 24: neither a daemon that is away nor one that hangs holds up an exit, and the dump shows the queue',
  async (lab) => {
    const task = await lab.task('c', sh('exit 3'), { stdout: '', stderr: '' });
    await lab.daemon.saw('create', 'c');
    lab.daemon.stop();
    await task.start();
    assert.equal((await within('Wait', task.wait())).exitStatus, 3);
    const away = await eventually('an attempt has failed', async () => {
      const { events } = await stateOf(task.shim);
      return events.retried > 0 ? events : undefined;
    });
    assert.deepEqual([away.queued, away.head?.topic, away.connected, away.dropped], [2, '/tasks/start', false, 0]);
    assert.match(away.lastError!.text, /./);
    assert.equal(away.address, lab.daemon.path);
    // It accepts, and says nothing.
    const silent = createServer((socket) => {
      lab.defer(() => void socket.destroy());
    }).listen(lab.daemon.path);
    await eventually(
      'it waits for a reply',
      async () => (await stateOf(task.shim)).events.sender.doing === 'awaiting the reply',
    );
    await answers(await task.shim.add('d'));
    silent.close();
    await lab.daemon.start();
    await lab.daemon.saw('exit', 'c');
    const back = await eventually(
      'all are sent',
      async () => {
        const { events } = await stateOf(task.shim);
        return events.queued === 0 ? events : undefined;
      },
      60_000,
    );
    assert.deepEqual([back.sent, back.sender.doing, back.head], [4, 'idle', undefined]);
  },
  { ...only, timeout: 120_000 },
);

shimTest(
  'bug 47: with 200 requests pending, Connect, State, Pids and the dump are answered',
  async (lab) => {
    const task = await lab.task('c', undefined, { options: { binaryName: hangingRunc(lab) } });
    await task.start();
    const waiting = Array.from({ length: 160 }, () => task.wait());
    await whileHanging(
      lab,
      'kill',
      () => Promise.all(Array.from({ length: 40 }, () => task.kill(9).catch(() => undefined))),
      async () => {
        const { state } = await pendingRequest(task.shim, 'Kill', (_, { requests }) => requests.length === 200);
        const kills = state.requests.filter(({ method }) => method === 'Kill');
        assert.equal(kills.length, 40);
        for (const { waitsFor } of kills) assert.ok(waitsFor.length > 0);
        assert.equal(state.metrics.requestsPending, 200);
        for (let n = 0; n < 20; n++) {
          await answers(task);
          assert.equal((await task.state()).status, STATUS.RUNNING);
        }
      },
    );
    for (const { exitStatus } of await Promise.all(waiting)) assert.equal(exitStatus, 137);
    await task.delete();
  },
  { ...only, timeout: 120_000 },
);

shimTest(
  'a request whose client is gone is shown as abandoned',
  async (lab) => {
    const task = await lab.task('c', undefined, { options: { binaryName: hangingRunc(lab) } });
    const impatient = await lab.connect(task.shim.address);
    await whileHanging(
      lab,
      'start',
      async () => {
        const starting = impatient.task.Start({ id: 'c' }).catch(() => undefined);
        await eventually('runc start hangs', () => existsSync(join(lab.dir, 'hung-start')));
        impatient.client.close();
        await starting;
      },
      async () => {
        await pendingRequest(task.shim, 'Start', ({ abandoned }) => abandoned);
      },
    );
  },
  only,
);

shimTest(
  'SIGUSR1 writes the same dump to the log, in lines that a FIFO takes whole',
  async (lab) => {
    const task = await lab.task('c', undefined, { options: { binaryName: hangingRunc(lab) } });
    await whileHanging(
      lab,
      'start',
      () => task.start(),
      async () => {
        process.kill(task.shim.pid, 'SIGUSR1');
        await eventually('the last line', () => lab.log.includes('msg="state: end"'));
      },
    );
    const [, request] = /msg="state: request" request="(.*)" runtime=/.exec(lab.log) ?? [];
    assert.match(JSON.parse(`"${request}"`) as string, /"method":"Start","container":"c".*"what":"runtime command"/);
    for (const kind of ['state of the shim', 'state: container', 'state: runtime command'])
      assert.ok(lab.log.includes(`msg="${kind}"`), kind);
    for (const line of lab.log.split('\n')) assert.ok(line.length < 4096, line);
  },
  only,
);

shimTest(
  'a dump has nothing of what processes are given to keep to themselves',
  async (lab) => {
    const task = await lab.task('c', undefined, {
      edit: (spec) => {
        spec.process.env = [...(spec.process.env ?? []), 'TOKEN=sesame-1'];
      },
    });
    await task.start();
    await task.exec('e', ['/bin/sleep', '1000', 'sesame-2'], {
      stdout: '',
      stderr: '',
      edit: (process) => {
        process.env = ['TOKEN=sesame-3'];
      },
    });
    const text = JSON.stringify(await stateOf(task.shim));
    assert.ok(text.includes('"id":"e"'));
    process.kill(task.shim.pid, 'SIGUSR1');
    await eventually('the dump in the log', () => lab.log.includes('msg="state: end"'));
    assert.doesNotMatch(text + lab.log, /sesame/);
  },
  only,
);

shimTest(
  'the debug action finds the shim by the bundle, and needs nothing else',
  async (lab) => {
    const task = await lab.task('c');
    const bundle = lab.bundlePath('c');
    for (const [args, cwd] of [
      [['debug'], bundle],
      [['-bundle', bundle, 'debug'], '/'],
      [['-namespace', lab.namespace, '-id', 'c', 'debug', 'state'], bundle],
    ] as const) {
      const { status, stdout, stderr } = await lab.run(args, { cwd });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      const state = JSON.parse(stdout.toString()) as { format: number; pid: number; address: string };
      assert.deepEqual([state.format, state.pid, state.address], [1, task.shim.pid, task.shim.address]);
    }
    assert.match(
      (await lab.run(['debug', 'metrics'], { cwd: bundle })).stdout.toString(),
      /^hawser_shim_containers\{namespace="hawser-test",id="c"\} 1$/m,
    );
    const fails = async (args: string[], text: RegExp): Promise<void> => {
      const { status, stdout, stderr } = await lab.run(args);
      assert.deepEqual([status, stdout.length], [1, 0]);
      assert.match(stderr, text);
      assert.ok(stderr.endsWith('\n'), stderr);
    };
    await fails(['-bundle', bundle, 'debug', 'nonsense'], /there is no "nonsense"; ask for state or metrics/);
    await fails(
      ['-namespace', 'n', '-id', 'no-such', 'debug'],
      /no shim's address in .*io\.containerd\.runtime\.v2\.task\/n\/no-such/,
    );
    // A daemon's directory that nobody knows of: one of its shims runs there.
    const other = await lab.task('d');
    const found = join(lab.dir, 'bundles', 'd');
    assert.equal(basename(dirname(found)), 'bundles');
    const { stdout } = await lab.run(['-namespace', 'bundles', '-id', 'd', 'debug'], { cwd: '/' });
    assert.equal((JSON.parse(stdout.toString()) as { pid: number }).pid, other.shim.pid);
    process.kill(task.shim.pid, 'SIGKILL');
    await task.shim.gone();
    await fails(['-bundle', bundle, 'debug'], /nobody listens at .*: the shim is gone/);
  },
  only,
);

shimTest(
  'a shim that itself hangs is told by the debug action, with what the kernel says of it',
  async (lab) => {
    const task = await lab.task('c');
    const { worker } = task.shim;
    process.kill(worker, 'SIGSTOP');
    const { status, stderr } = await lab.run(['debug'], { cwd: lab.bundlePath('c') });
    process.kill(worker, 'SIGCONT');
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`has not answered for 10 s: process ${worker} \\(.*\\) is in state T`));
    assert.ok((await task.state()).pid);
  },
  only,
);

shimTest(
  'it takes no file and no descriptor, and goes with the shim',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const files = (): string[] => readdirSync(lab.bundlePath('c')).sort();
    const sockets = (): number => task.shim.descriptors().filter((name) => name === 'socket').length;
    const first = sockets();
    // libuv opens /dev/null for good with the first stream of a process, which this is.
    await stateOf(task.shim);
    await eventually('its connection is closed', () => sockets() === first);
    const before = { files: files(), descriptors: task.shim.descriptors() };
    for (let n = 0; n < 20; n++) await stateOf(task.shim);
    await eventually('the connections are closed', () => task.shim.descriptors().length === before.descriptors.length);
    assert.deepEqual({ files: files(), descriptors: task.shim.descriptors() }, before);
    assert.deepEqual([...lab.sockets], [task.shim.socket]);
    process.kill(task.shim.pid, 'SIGKILL');
    await task.shim.gone();
    assert.equal((await lab.deleteAction('c')).status, 0);
    await lab.assertNothingLeft();
  },
  only,
);

shimTest(
  "others than the shim's own user and group are hung up on",
  async (lab) => {
    const task = await lab.task('c');
    const script = `process.setgid(65534);
const socket = require('net').connect(process.argv[1], () => socket.write('GET /state HTTP/1.0\\r\\n\\r\\n'));
let text = '';
socket.on('data', (chunk) => text += chunk).on('error', () => undefined).on('close', () => console.log(JSON.stringify(text)));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', script, task.shim.socket], {
      encoding: 'utf8',
      timeout: 30_000,
      env: {},
    });
    assert.deepEqual({ stdout, stderr }, { stdout: '""\n', stderr: '' });
    assert.equal((await stateOf(task.shim)).containers.length, 1);
  },
  only,
);

shimTest(
  'netcat will do: a bare request gets a bare answer, and nonsense is told what there is',
  async (lab) => {
    const task = await lab.task('c');
    const say = (text: string): Promise<string> =>
      within(
        'an answer',
        new Promise((resolve, reject) => {
          const chunks: Buffer[] = [];
          const socket = connect({ path: task.shim.socket, allowHalfOpen: true }, () => socket.end(text));
          socket
            .on('data', (chunk: Buffer) => chunks.push(chunk))
            .once('error', reject)
            .once('end', () => resolve(Buffer.concat(chunks).toString()));
        }),
      );
    assert.equal((JSON.parse(await say('GET /state\n')) as { pid: number }).pid, task.shim.pid);
    assert.match(await say('GET /metrics\r\n'), /^# HELP hawser_shim_/);
    assert.match(await say('GET /metrics'), /^# HELP hawser_shim_/);
    assert.match(await say('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1\.0 200 OK\r\n[\s\S]*\/state/);
    assert.match(await say(`G${'x'.repeat(20_000)}`), /^HTTP\/1\.0 400 /);
    assert.match(await say('GET\rwhat'), /^HTTP\/1\.0 400 /, 'that it is over says that it is all');
    assert.equal((await httpGet(task.shim.socket, '/nothing')).status, 404);
    // One who says nothing more holds up nobody.
    const mute = connect(task.shim.socket, () => mute.write('G'));
    lab.defer(() => void mute.destroy());
    await answers(task);
  },
  only,
);

shimTest(
  "where the dump's code is gone, or another's by now, the bare facts are given",
  async (lab) => {
    const top = fileURLToPath(new URL('../..', import.meta.url));
    for (const part of ['bin', 'dist'])
      cpSync(join(top, part), join(lab.dir, 'copy', part), { recursive: true, verbatimSymlinks: true });
    const code = join(lab.dir, 'copy/dist/shim.debug.cjs');
    const original = readFileSync(code, 'utf8');
    for (const [id, damage] of [
      ['gone', () => rmSync(code)],
      ['other', () => writeFileSync(code, original.replaceAll('dev', 'other').replace(/"\d+\.\d+\.\d+"/, '"9.9.9"'))],
    ] as const) {
      lab.bundle(id);
      damage();
      const { stdout, stderr } = spawnSync(
        join(lab.dir, 'copy/bin/containerd-shim-runc-v2'),
        [...lab.flags(id), 'start'],
        {
          cwd: lab.bundlePath(id),
          encoding: 'utf8',
          timeout: 30_000,
          env: {
            PATH: process.env.PATH,
            TTRPC_ADDRESS: lab.daemon.path,
            HAWSER_ZYGOTE: 'off',
            HAWSER_RUN_DIR: lab.runDir,
          },
        },
      );
      assert.equal(stderr, '');
      const task = await (await lab.connect(stdout.trim())).create(id);
      await task.exec('e', ['/bin/true'], {
        stdout: '',
        stderr: '',
        edit: (process) => {
          process.env = ['TOKEN=sesame'];
        },
      });
      const waiting = task.wait();
      const text = await eventually('the dump with the Wait', async () => {
        const { status, body } = await httpGet(task.shim.socket, '/state');
        assert.equal(status, 200);
        return body.includes('"method":"Wait"') ? body : undefined;
      });
      const facts = JSON.parse(text) as { raw: boolean; why: string; created: { record: { id: string } }[] };
      assert.deepEqual([facts.raw, facts.created[0]?.record.id], [true, id]);
      const asked = await lab.run(['-bundle', lab.bundlePath(id), 'debug']);
      assert.equal((JSON.parse(asked.stdout.toString()) as { raw: boolean }).raw, true, asked.stderr);
      assert.match(facts.why, id === 'gone' ? /Cannot find module/ : /replaced by 9\.9\.9/);
      assert.doesNotMatch(text, /sesame/);
      await task.kill(9);
      await waiting;
      await task.delete();
      await task.shim.shutdown();
    }
  },
  only,
);

shimTest(
  'bug 49: a log that nobody reads costs no CPU, and what is dropped is counted',
  async (lab) => {
    lab.bundle('c');
    // The daemon that reads it is gone.
    const shim = await lab.shim('c');
    await shim.create('c');
    lab.stopReadingLogs();
    await eventually('lines are dropped', async () => {
      process.kill(shim.pid, 'SIGUSR1');
      return (await stateOf(shim)).metrics.logLinesDropped > 0;
    });
    for (let n = 0; n < 20; n++) assert.equal((await shim.task.State({ id: 'c' })).status, STATUS.CREATED);
    // A loop that logs its own failure to log would take all that there is.
    await eventually('a second in which it does next to nothing', async () => {
      const before = cpuSeconds(shim.worker);
      await delay(1000);
      return cpuSeconds(shim.worker) - before < 0.2;
    });
  },
  only,
);

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

shimTest(
  'the last warnings of the shim are in the dump',
  async (lab) => {
    const binaryName = lab.fakeRunc(
      'runc-kill-fails',
      'if [ "$command" = kill ] && [ -e "$lab/fail" ]; then echo "the moon is full" >&2; exit 1; fi',
    );
    const task = await lab.task('c', sh('sleep 1000 & echo up; wait'), { edit: hostPid, options: { binaryName } });
    await task.start();
    await task.out.saw('up');
    writeFileSync(join(lab.dir, 'fail'), '');
    process.kill(task.pid, 'SIGKILL');
    await task.wait();
    const { recentErrors } = await stateOf(task.shim);
    assert.deepEqual(
      recentErrors.map(({ level }) => level),
      ['warning'],
    );
    assert.match(recentErrors[0]!.text, /killing the processes that the init has left failed.*the moon is full/);
  },
  only,
);
