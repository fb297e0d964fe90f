/** The program as it is built: its command line, its signals, what it tells the service manager and ctr. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { execa } from 'execa';
import { containerd, google, pack } from '../../src/api/full.js';
import { temporaryDirectory, top } from '../support/daemons.js';
import { eventually, within } from '../support/eventually.js';

const directory = temporaryDirectory('hawserd');
const hawserd = join(top, 'bin/hawserd');
const running = new Set<ChildProcess>();
let count = 0;

after(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

interface Daemon {
  child: ChildProcess;
  address: string;
  root: string;
  logged: Record<string, unknown>[];
  ended: Promise<{ code: number | null; signal: string | null }>;
}

async function start(flags: string[] = [], env: Record<string, string> = {}): Promise<Daemon> {
  const root = join(directory, `root${++count}`);
  const address = join(directory, `${count}.sock`);
  const child = spawn(hawserd, ['--root', root, '--state', `${root}.state`, '--address', address, ...flags], {
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  running.add(child);
  const logged: Record<string, unknown>[] = [];
  createInterface({ input: child.stderr }).on('line', (line) =>
    logged.push(line.startsWith('{') ? (JSON.parse(line) as Record<string, unknown>) : { text: line }),
  );
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once('exit', (code, signal) => {
      running.delete(child);
      resolve({ code, signal });
    }),
  );
  await eventually(
    `hawserd serves: ${JSON.stringify(logged)}`,
    () => logged.some(({ msg }) => msg === 'hawserd serves') || child.exitCode !== null,
  );
  assert.equal(child.exitCode, null, JSON.stringify(logged));
  return { child, address, root, logged, ended };
}

/** One that is not to start: what it says. */
async function refusal(...flags: string[]): Promise<string> {
  const { exitCode, stderr } = await execa(hawserd, flags, {
    reject: false,
    timeout: 20_000,
    cwd: '/',
    stdin: 'ignore',
  });
  assert.equal(exitCode, 1, stderr);
  return stderr;
}

test('version, help and the commands of the configuration', async () => {
  const { stdout: version } = await execa(hawserd, ['--version']);
  assert.match(version, /^hawserd hawser \d+\.\d+\.\d+ [\da-f]*$/);
  assert.match((await execa(hawserd, ['--help'])).stdout, /--log-level LEVEL/);
  const { stdout: defaults } = await execa(hawserd, ['config', 'default']);
  const file = join(directory, 'default.toml');
  writeFileSync(file, defaults);
  assert.equal((await execa(hawserd, ['config', 'check', '-c', file])).stdout, `${file}: good`);
  writeFileSync(file, defaults.replace(/^# (?=["[]| +\w+ = )/gm, ''));
  assert.equal(
    (await execa(hawserd, ['config', 'check', '-c', file])).stdout,
    `${file}: good`,
    'with its examples, too',
  );
  assert.match(
    (await execa(hawserd, ['--root', '/elsewhere', '-c', file, 'config', 'dump'])).stdout,
    /^root = "\/elsewhere"$/m,
  );
  writeFileSync(file, 'version = 2\n[grpc]\nadress = "/x"\n');
  assert.equal(
    await refusal('config', 'check', '-c', file),
    `hawserd: ${file}:3:1: unknown key adress in [grpc]; did you mean address?`,
  );
  assert.equal(
    await refusal('--adress', '/x'),
    'hawserd: unknown flag --adress; did you mean --address?\nTry hawserd --help',
  );
});

test("the real containerd's own default configuration is read", async () => {
  const { stdout } = await execa('containerd', ['config', 'default']);
  const file = join(directory, 'containerd.toml');
  writeFileSync(file, stdout);
  assert.match((await execa(hawserd, ['config', 'check', '-c', file])).stdout, /good$/);
});

test('every key of the configuration is in the manual', async () => {
  const manual = readFileSync(join(top, 'src/daemon/packaging/hawserd.8'), 'utf8');
  const { stdout } = await execa(hawserd, ['config', 'default']);
  for (const [, key] of stdout.matchAll(/^#? *"?([\w.]+)"? = /gm))
    if (key !== 'greeting') assert.ok(manual.includes(key!), `${key} is not in hawserd.8`);
  const { stderr } = await execa('man', ['--warnings', '-l', join(top, 'src/daemon/packaging/hawserd.8')], {
    reject: false,
    env: { MANPAGER: 'cat' },
  });
  assert.equal(stderr.replace(/.*(ENOENT|not found).*/s, ''), '');
});

test('ctr finds it, under any name and from anywhere; it comes with the shim of its own build, and NODE_ settings are not its own', async () => {
  mkdirSync(join(directory, 'bin'));
  const link = join(directory, 'bin/containerd');
  symlinkSync(hawserd, link);
  assert.match(
    (await execa(link, ['--version'], { cwd: '/', env: { NODE_OPTIONS: '--no-such-option' } })).stdout,
    /^hawserd/,
  );
  const one = await start([], { NODE_OPTIONS: '--no-such-option' });
  const { stdout } = await execa('ctr', ['-a', one.address, 'version'], { timeout: 20_000 });
  assert.match(stdout, /Server:\n {2}Version: +\d+\.\d+\.\d+/);
  assert.match(
    (await execa('ctr', ['-a', one.address, 'plugins', 'ls'], { timeout: 20_000 })).stdout,
    /io\.containerd\.grpc\.v1 +introspection +linux\/\w+ +ok/,
  );
  assert.equal(readFileSync(`/proc/${one.child.pid}/comm`, 'utf8'), 'hawserd\n');
  one.child.kill('SIGUSR1');
  const dump = await eventually('the state is in the log', () =>
    one.logged.find(({ msg }) => msg === 'state of the daemon'),
  );
  const { runtimes } = dump.state as { runtimes: { name: string; shim: string }[] };
  assert.equal(runtimes.find(({ name }) => name === 'runc')?.shim, join(top, 'bin/containerd-shim-runc-v2'));
  one.child.kill('SIGTERM');
  assert.deepEqual(await within('the end', one.ended), { code: 0, signal: null });
});

test('what it keeps is there after a restart', async () => {
  const one = await start();
  const ctr = async (...args: string[]): Promise<string> =>
    (await execa('ctr', ['-a', one.address, ...args], { timeout: 20_000 })).stdout;
  await ctr('namespaces', 'create', 'crew', 'port=Kiel', 'sign=\u2693');
  await ctr('-n', 'crew', 'leases', 'create', '--id', 'l1');
  one.child.kill('SIGKILL');
  await one.ended;
  const again = await start(['--root', one.root, '--address', one.address]);
  assert.match(await ctr('namespaces', 'ls'), /crew +port=Kiel,sign=\u2693/);
  assert.match(await ctr('-n', 'crew', 'leases', 'ls'), /^l1 /m);
  again.child.kill('SIGTERM');
  await again.ended;
});

test('events go through it, and a signal ends it while somebody listens', async () => {
  const one = await start();
  const listening = execa('ctr', ['-a', one.address, 'events'], { reject: false, timeout: 30_000, buffer: false });
  let heard = '';
  listening.stdout.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
  });
  const event = Buffer.from(
    google.protobuf.Any.encode(
      pack('containerd.events.TaskOOM', containerd.events.TaskOOM, { containerId: 'starved' }),
    ).finish(),
  );
  await eventually('the event is heard', async () => {
    await execa('containerd', ['-a', one.address, 'publish', '--topic', '/tasks/oom', '--namespace', 'ns'], {
      timeout: 10_000,
      input: event,
    });
    return /ns \/tasks\/oom .*starved/.test(heard);
  });
  one.child.kill('SIGINT');
  assert.deepEqual(await within('the end', one.ended), { code: 0, signal: null });
  assert.ok(!existsSync(one.address) && !existsSync(`${one.address}.ttrpc`), 'the sockets are gone');
  await listening;
});

test('publish: a shim without a connection of its own tells an event, and is told when it cannot', async () => {
  const one = await start();
  const listening = execa('ctr', ['-a', one.address, 'events'], { reject: false, timeout: 60_000, buffer: false });
  let heard = '';
  listening.stdout.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
  });
  const event = (containerId: string): Buffer =>
    Buffer.from(
      google.protobuf.Any.encode(
        pack('containerd.events.TaskOOM', containerd.events.TaskOOM, { containerId }),
      ).finish(),
    );
  const publish = async (args: string[], input: Buffer, env: Record<string, string> = {}): Promise<string> => {
    const { exitCode, stderr, stdout } = await execa(hawserd, [...args, '--namespace', 'ns'], {
      input,
      env,
      reject: false,
      timeout: 30_000,
      cwd: '/',
    });
    assert.deepEqual([stdout, exitCode], ['', stderr === '' ? 0 : 1], stderr);
    return stderr;
  };
  await eventually('the event is heard', async () => {
    assert.equal(
      await publish(['--address', one.address, 'publish', '--topic', '/tasks/oom'], event('by-address')),
      '',
    );
    return /ns \/tasks\/oom .*by-address/.test(heard);
  });
  assert.equal(
    await publish(['--address', '/nowhere', 'publish', '--topic', '/tasks/oom'], event('by-environment'), {
      TTRPC_ADDRESS: `${one.address}.ttrpc`,
    }),
    '',
  );
  await eventually('the event is heard', () => /ns \/tasks\/oom .*by-environment/.test(heard));
  assert.match(
    await publish(['--address', '/nowhere', 'publish', '--topic', '/tasks/oom'], event('x')),
    /^hawserd: cannot reach a hawserd to tell \/tasks\/oom to: .*\/nowhere\.ttrpc; is one running\? Name its socket with --address$/,
  );
  assert.match(
    await publish(['-a', one.address, 'publish', '--topic', 'tasks'], event('x')),
    /^hawserd: .*"tasks" must start with "\/"/,
  );
  for (const input of [Buffer.alloc(0), Buffer.from([10, 200, 1])])
    assert.match(
      await publish(['-a', one.address, 'publish', '--topic', '/t'], input),
      /^hawserd: standard input is no google\.protobuf\.Any: .*$/,
    );
  one.child.kill('SIGTERM');
  await one.ended;
  await listening;
});

test('after SIGKILL it starts on what is left', async () => {
  const one = await start();
  const second = await refusal('--root', one.root, '--state', `${one.root}.state`, '--address', `${one.address}2`);
  assert.equal(
    second,
    `hawserd: root ${one.root} is in use by the hawserd of process ${one.child.pid}: stop that one, or give this one another --root and --state`,
  );
  assert.match(
    await refusal('--root', `${one.root}2`, '--state', `${one.root}.state2`, '--address', one.address),
    new RegExp(`^hawserd: socket ${one.address} is in use by process ${one.child.pid}: stop that one`),
  );
  one.child.kill('SIGKILL');
  await one.ended;
  assert.ok(existsSync(one.address));
  const again = await start(['--root', one.root, '--address', one.address]);
  again.child.kill('SIGTERM');
  await again.ended;
});

test('what cannot be is one line', async () => {
  writeFileSync(join(directory, 'plain'), '');
  assert.match(
    await refusal('--root', join(directory, 'plain')),
    /^hawserd: root directory \S+plain cannot be used: EEXIST.*Give another one with --root, or run hawserd as root$/,
  );
  assert.match(
    await refusal('--root', join(directory, 'r'), '--state', '/proc/none'),
    /^hawserd: state directory \/proc\/none cannot be used: .*$/,
  );
  assert.match(
    await refusal('--config', '/nowhere.toml'),
    /^hawserd: cannot read the configuration \/nowhere\.toml: ENOENT.*$/,
  );
  assert.match(
    await refusal('--root', join(directory, 'r'), '--state', join(directory, 's'), '-a', `/${'x'.repeat(120)}`),
    /^hawserd: socket .* longer than the 107 bytes/,
  );
});

test('the service manager is told', async () => {
  const socket = join(directory, 'notify');
  // A datagram socket is what Node has none of.
  const python = spawn(
    'python3',
    [
      '-uc',
      `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound")
while True: print(s.recv(1000).decode().replace("\\n", " "))
`,
      socket,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  running.add(python);
  const told: string[] = [];
  createInterface({ input: python.stdout }).on('line', (line) => told.push(line));
  await eventually('it listens', () => told.length === 1);
  const one = await start([], { NOTIFY_SOCKET: socket });
  await eventually('ready', () => told.includes(`READY=1 MAINPID=${one.child.pid}`));
  one.child.kill('SIGTERM');
  await one.ended;
  await eventually('stopping', () => told.includes('STOPPING=1'));
  python.kill();
});

test('a log for people on a terminal', async () => {
  const { stdout } = await execa(
    'script',
    [
      '-qec',
      `timeout -s TERM 3 ${hawserd} --root ${directory}/tty --state ${directory}/tty.state -a ${directory}/tty.sock`,
      '/dev/null',
    ],
    { reject: false, stdin: 'ignore', timeout: 20_000 },
  );
  assert.match(stdout, /INFO.*hawserd serves/s);
  assert.doesNotMatch(stdout, /\{"level"/);
});
