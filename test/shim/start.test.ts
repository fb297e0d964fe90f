/** The command line: start, delete, -v, -info, serve, with good input and bad (contract §1.2 to §1.9). */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { containerd, ContainerdTaskV2Task, google } from '../../src/api/index.js';
import { Code, Server } from '../../src/ttrpc/index.js';
import { eventually, within } from '../support/eventually.js';
import { descriptorsOf, processInfo } from '../support/machine.js';
import { fails, hawserOnly, shimTest, SHIM, type Lab } from '../support/shim.js';
import { rawFrame, RawPeer, rawRequest } from '../support/ttrpc-raw.js';
import { sh } from '../support/spec.js';

const { BootstrapParams } = containerd.runtime.bootstrap.v1;

/** The shim must not have come up: who was to be its monitor ends when the daemon has its answer. */
async function assertNoShim(lab: Lab): Promise<void> {
  await eventually('no process is left', () => lab.snapshot().processes.length === 0);
}

shimTest(
  'bug 54: start prints the address and nothing else, and leaves the shim in the bundle, its own process group, with its own descriptors',
  async (lab) => {
    lab.bundle('c');
    const { status, stdout, stderr } = await lab.startAction('c');
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.match(stdout.toString(), /^unix:\/\/\/run\/containerd\/s\/[0-9a-f]{64}$/);
    const shim = await lab.connect(stdout.toString());
    const stat = readFileSync(`/proc/${shim.pid}/stat`, 'latin1');
    assert.equal(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]), shim.pid, 'it leads its process group');
    for (const line of descriptorsOf(shim.pid)) assert.doesNotMatch(line, /^[012] (pipe|\/dev\/(pts|tty))/);
    const environment = readFileSync(`/proc/${shim.pid}/environ`, 'latin1');
    assert.ok(environment.includes(`TTRPC_ADDRESS=${lab.daemon.path}`));
  },
);

shimTest(
  'who is told that a shim ends finds it no more: the next start of that name gets another',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    await shim.task.Shutdown({ id: 'c' });
    assert.equal(existsSync(shim.socket), false);
    const next = await lab.shim('c');
    assert.notEqual(next.pid, shim.pid);
    await shim.gone();
    assert.equal(existsSync(next.socket), true);
    await next.shutdown();
  },
  { skip: hawserOnly },
);

shimTest('bug 30: -debug reaches the shim that serves, and only then is there a debug log', async (lab) => {
  for (const debug of [true, false]) {
    const id = debug ? 'loud' : 'quiet';
    lab.bundle(id);
    const before = lab.log.length;
    const shim = await lab.shim(id, { debug });
    await shim.shutdown();
    const logged = (): boolean => lab.log.slice(before).includes('level=debug');
    if (debug) await eventually('a debug line', logged);
    else assert.ok(!logged(), lab.log.slice(before));
  }
});

shimTest("oom_score_adj is the daemon's and one more", async (lab) => {
  lab.bundle('c');
  const shim = await lab.shim('c');
  const own = Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
  assert.equal(Number(readFileSync(`/proc/${shim.pid}/oom_score_adj`, 'utf8')), Math.min(1000, own + 1));
});

shimTest('start again for a shim that lives gives its address, and no new shim', async (lab) => {
  lab.bundle('c');
  const first = await lab.shim('c');
  const second = await lab.shim('c');
  assert.deepEqual({ address: second.address, pid: second.pid }, { address: first.address, pid: first.pid });
});

shimTest('containers of different namespaces have different shims', async (lab) => {
  lab.bundle('c');
  const one = await lab.shim('c');
  const other = await lab.shim('c', { namespace: 'another' });
  assert.notEqual(one.address, other.address);
  assert.notEqual(one.pid, other.pid);
});

shimTest('stdin: an Any of runc options', async (lab) => {
  lab.bundle('c');
  const any = Buffer.from('0a1a636f6e7461696e6572642e72756e632e76312e4f7074696f6e7312024801', 'hex');
  assert.match((await lab.shim('c', { stdin: any })).address, /^unix:/);
});

shimTest(
  'stdin: BootstrapParams, with a socket directory and a log level',
  async (lab) => {
    lab.bundle('c');
    const socketDir = join(tmpdir(), `hs-${process.pid}`);
    const stdin = BootstrapParams.encode({
      instanceId: 'c',
      namespace: lab.namespace,
      logLevel: -4,
      containerdVersion: '2.3.4',
      containerdTtrpcAddress: lab.daemon.path,
      containerdGrpcAddress: lab.grpcAddress,
      containerdBinary: '/usr/bin/containerd',
      extensions: [{ value: lab.options({ systemdCgroup: true }) }],
      socketDir,
    }).finish();
    const shim = await lab.shim('c', { stdin, debug: false });
    assert.ok(shim.address.startsWith(`unix://${socketDir}/`));
    assert.equal(statSync(socketDir).mode & 0o777, 0o700);
    await eventually('it logs at debug level', () => lab.log.includes('level=debug'));
    await shim.shutdown();
    assert.deepEqual(readdirSync(socketDir), []);
    rmSync(socketDir, { recursive: true });
  },
  { skip: hawserOnly },
);

shimTest(
  'stdin: the golden bytes of BootstrapParams are taken by the shim that they name, and by no other',
  async (lab) => {
    const stdin = Buffer.from(
      [
        '0a03616263120764656661756c7418fcffffffffffffffff012205322e332e34',
        '2a252f72756e2f636f6e7461696e6572642f636f6e7461696e6572642e736f636b2e7474727063',
        '321f2f72756e2f636f6e7461696e6572642f636f6e7461696e6572642e736f636b',
        '3a132f7573722f62696e2f636f6e7461696e657264',
        '42220a200a1a636f6e7461696e6572642e72756e632e76312e4f7074696f6e7312024801',
      ].join(''),
      'hex',
    );
    lab.bundle('other');
    const other = await lab.shim('other', { stdin, namespace: 'default', debug: false });
    await other.shutdown();
    assert.ok(!lab.log.includes('level=debug'), lab.log);
    lab.bundle('abc');
    const shim = await lab.shim('abc', { stdin, namespace: 'default', debug: false });
    assert.ok(shim.address.startsWith('unix:///run/containerd/s/'));
    await eventually('its log level is debug, as they say', () => lab.log.includes('level=debug'));
  },
  { skip: hawserOnly },
);

shimTest(
  'stdin: what cannot be understood is no options',
  async (lab) => {
    for (const [n, stdin] of [
      Buffer.from([0xff, 0xff, 0xff]),
      Buffer.from('hello world'),
      Buffer.alloc(100_000, 7),
    ].entries()) {
      lab.bundle(`c${n}`);
      await lab.shim(`c${n}`, { stdin });
    }
  },
  { skip: hawserOnly },
);

shimTest(
  'bug 46, fields 36 and 38: each daemon gets an answer that it understands, a shim that runs already answers the same',
  async (lab) => {
    const { BootstrapResult } = containerd.runtime.bootstrap.v1;
    const params = (id: string): Buffer =>
      Buffer.from(
        BootstrapParams.encode({ instanceId: id, namespace: lab.namespace, containerdVersion: '2.3.4' }).finish(),
      );
    for (const again of ['new', 'running']) {
      lab.bundle('plain');
      const plain = await lab.startAction('plain');
      const address = plain.stdout.toString();
      assert.match(address, /^unix:\/\/[^\s]+$/, again);
      lab.sockets.add(address.slice('unix://'.length));

      lab.bundle('params');
      const { stdout, stderr, status } = await lab.startAction('params', { stdin: params('params') });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      const result = BootstrapResult.decode(stdout);
      assert.deepEqual({ version: result.version, protocol: result.protocol }, { version: 3, protocol: 'ttrpc' });
      const shim = await lab.connect(result.address);
      // What version 3 promises.
      assert.equal((await shim.v3.Connect({ id: 'params' })).shimPid, shim.pid);
      assert.equal(
        readFileSync(join(lab.bundlePath('params'), 'address'), 'utf8'),
        result.address,
        'an older daemon finds it too',
      );
    }
  },
  { skip: hawserOnly },
);

shimTest(
  'bug 48, field 37: a member that joins a shim which only has the old Task API is said to have that',
  async (lab) => {
    const { BootstrapResult } = containerd.runtime.bootstrap.v1;
    lab.bundle('leader', undefined, (spec) => (spec.annotations = { 'io.kubernetes.cri.sandbox-id': 'leader' }));
    const { stdout } = await lab.startAction('leader');
    const leader = await lab.connect(stdout.toString());
    await leader.shutdown();
    // In its place, one as containerd 1.7 had it.
    const server = new Server().add(ContainerdTaskV2Task, { Connect: () => ({ shimPid: 1, taskPid: 1 }) });
    const listener = createServer();
    await server.serve(listener);
    await new Promise<void>((resolve) => listener.listen(leader.socket, resolve));
    lab.defer(() => server.close());
    lab.bundle('member', undefined, (spec) => (spec.annotations = { 'io.kubernetes.cri.sandbox-id': 'leader' }));
    const stdin = BootstrapParams.encode({ instanceId: 'member', namespace: lab.namespace }).finish();
    const joined = await lab.startAction('member', { stdin });
    const { version, address } = BootstrapResult.decode(joined.stdout);
    assert.deepEqual({ version, address }, { version: 2, address: leader.address });
  },
  { skip: hawserOnly },
);

shimTest(
  'a socket path that is too long is an error that says so, and no shim',
  async (lab) => {
    lab.bundle('c');
    const socketDir = `/tmp/${'x'.repeat(60)}`;
    const stdin = BootstrapParams.encode({
      instanceId: 'c',
      namespace: lab.namespace,
      extensions: [],
      socketDir,
    }).finish();
    const { status, stdout, stderr } = await lab.startAction('c', { stdin });
    assert.deepEqual({ status, stdout: stdout.toString() }, { status: 1, stdout: '' });
    assert.match(stderr, /^io\.containerd\.runc\.v2: socket path .* is too long: \d+ bytes/);
    assert.ok(!existsSync(socketDir));
    await assertNoShim(lab);
  },
  { skip: hawserOnly },
);

shimTest('a missing or broken config.json fails start with its name', async (lab) => {
  lab.bundle('c');
  writeFileSync(join(lab.bundlePath('c'), 'config.json'), '{"annotations":');
  const broken = await lab.startAction('c');
  assert.equal(broken.status, 1);
  assert.match(broken.stderr, /^io\.containerd\.runc\.v2: /);
  if (!hawserOnly) assert.match(broken.stderr, /config\.json is not valid JSON/);
  rmSync(join(lab.bundlePath('c'), 'config.json'));
  const missing = await lab.startAction('c');
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /config\.json/);
  await assertNoShim(lab);
});

shimTest(
  'a missing or broken config.json fails Create, and not in words that dockerd takes for a missing command',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    rmSync(join(lab.bundlePath('c'), 'config.json'));
    await fails(
      shim.create('c'),
      Code.InvalidArgument,
      /^the bundle .* has no usable config\.json: it is missing: invalid argument$/,
    );
    writeFileSync(join(lab.bundlePath('c'), 'config.json'), 'no');
    await fails(shim.create('c', { stdio: lab.stdio('c2') }), Code.InvalidArgument, /not valid JSON/);
    lab.bundle('c');
    await shim.create('c', { stdio: lab.stdio('c3') });
  },
  { skip: hawserOnly },
);

shimTest(
  'bug 56: a specification without a linux section is none of our business until runc has a word',
  async (lab) => {
    lab.bundle('c');
    writeFileSync(join(lab.bundlePath('c'), 'config.json'), '{"ociVersion":"1.0.2"}');
    const shim = await lab.shim('c');
    await fails(shim.create('c'), Code.Unknown, /^OCI runtime create failed: /);
  },
);

shimTest('an unknown flag is usage on stderr and status 2; -h is usage and status 0', async (lab) => {
  const unknown = await lab.run(['-frobnicate', 'start']);
  assert.deepEqual({ status: unknown.status, stdout: unknown.stdout.toString() }, { status: 2, stdout: '' });
  assert.match(unknown.stderr, /flag provided but not defined: -frobnicate\n.*Usage of /s);
  assert.equal((await lab.run(['-namespace'])).status, 2);
  assert.equal((await lab.run(['-debug=maybe', '-v'])).status, 2);
  const help = await lab.run(['-h']);
  assert.equal(help.status, 0);
});

shimTest("a missing namespace is an error in the Go shim's words, without a line end", async (lab) => {
  for (const action of [['start'], ['delete'], []]) {
    const { status, stdout, stderr } = await lab.run(['-id', 'c', ...action]);
    assert.deepEqual(
      { status, stdout: stdout.toString(), stderr },
      { status: 1, stdout: '', stderr: 'io.containerd.runc.v2: shim namespace cannot be empty' },
    );
  }
});

shimTest("flags in all of Go's forms", async (lab) => {
  lab.bundle('c');
  const { status, stdout } = await lab.run(
    [
      `--namespace=${lab.namespace}`,
      '-address',
      lab.grpcAddress,
      '--id=c',
      '-debug=true',
      '-publish-binary=/bin/false',
      'start',
      '-and',
      'more',
    ],
    { cwd: lab.bundlePath('c') },
  );
  assert.equal(status, 0);
  await lab.connect(stdout.toString());
});

shimTest(
  'ids that could be paths or flags are refused before they become any',
  async (lab) => {
    lab.bundle('good');
    const shim = await lab.shim('good');
    for (const id of ['a/b', '..', '.', '../good', '-x', '', 'x'.repeat(77), 'a b', 'a\nb', 'a..b', 'ü']) {
      await fails(
        shim.task.Create({ id, bundle: lab.bundlePath('good') }),
        Code.InvalidArgument,
        /: invalid argument$/,
      );
      const { status, stderr } = await lab.run([...lab.flags(id), 'start'], { cwd: lab.bundlePath('good') });
      assert.equal(status, 1);
      assert.match(stderr, /^io\.containerd\.runc\.v2: id .*: invalid argument$/s);
      assert.equal((await lab.run([...lab.flags(id), 'delete'], { cwd: lab.bundlePath('good') })).status, 1);
    }
    await fails(shim.task.Create({ id: 'good', bundle: 'relative' }), Code.InvalidArgument, /absolute path/);
    const longest = `a${'-b'.repeat(37)}c`;
    assert.equal(longest.length, 76);
    lab.bundle(longest, sh('exit 3'));
    const task = await (await lab.shim(longest)).create(longest, { stdio: lab.stdio('longest') });
    await task.start();
    assert.equal((await task.wait()).exitStatus, 3);
  },
  { skip: hawserOnly },
);

shimTest('-v prints facts and an empty line', async (lab) => {
  for (const flag of hawserOnly ? ['-v'] : ['-v', '--version']) {
    const { status, stdout, stderr } = await lab.run([flag]);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.match(
      stdout.toString(),
      /containerd-shim-runc-v2:\n {2}Version: {2}.+\n {2}Revision: .+\n {2}\w+ version: .+\n(?: {2}Library: \/.+\n)?\n$/,
    );
  }
});

shimTest(
  '-info tells what the shim and its runtime can do',
  async (lab) => {
    const empty = await lab.run(['-info']);
    assert.deepEqual({ status: empty.status, stderr: empty.stderr }, { status: 0, stderr: '' });
    const info = containerd.types.RuntimeInfo.decode(empty.stdout);
    assert.equal(info.name, 'io.containerd.runc.v2');
    assert.ok(info.version?.version);
    const options = lab.options({
      binaryName: lab.fakeRunc(
        'runc-features',
        `if [ "$1" = features ]; then echo '{"ociVersionMin":"1.0.0","linux":{}}'; exit 0; fi`,
      ),
    });
    const withFeatures = await lab.run(['-info'], { stdin: google.protobuf.Any.encode(options).finish() });
    const decoded = containerd.types.RuntimeInfo.decode(withFeatures.stdout);
    assert.equal(decoded.features?.type_url, 'types.containerd.io/opencontainers/runtime-spec/1/features/Features');
    assert.equal(
      (JSON.parse(Buffer.from(decoded.features.value!).toString()) as { ociVersionMin: string }).ociVersionMin,
      '1.0.0',
    );
    assert.equal(decoded.options?.type_url, 'containerd.runc.v1.Options');
    const missing = await lab.run(['-info'], {
      stdin: google.protobuf.Any.encode(lab.options({ binaryName: 'no-such-runc' })).finish(),
    });
    assert.equal(missing.status, 1);
    assert.match(missing.stderr, /"no-such-runc": executable file not found in \$PATH/);
  },
  { skip: hawserOnly },
);

shimTest(
  'a file that was left where the socket should be is replaced',
  async (lab) => {
    lab.bundle('c');
    const first = await lab.shim('c');
    await first.shutdown();
    writeFileSync(first.socket, 'left by somebody');
    const second = await lab.shim('c');
    assert.ok(statSync(second.socket).isSocket());
  },
  { skip: hawserOnly },
);

shimTest('garbage and cut frames on the socket leave the shim serving', async (lab) => {
  const task = await lab.task('c');
  const garbage: Uint8Array[] = [
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    Buffer.alloc(5, 0xff),
    Buffer.alloc(1000),
    rawFrame(1, 1, 0, Buffer.from([0xff, 0xff, 0xff])),
    rawFrame(2, 1),
    rawFrame(1, 9),
    rawFrame(1, 3, 1, Buffer.from('x')),
    rawFrame(1, 1).subarray(0, 7),
    rawFrame(1, 1, 0, Buffer.alloc(100)).subarray(0, 50),
  ];
  for (const bytes of garbage) {
    const peer = await RawPeer.connect(task.shim.socket);
    peer.write(bytes);
    peer.socket.end();
    // A peer that has said all it has to say is let go, whatever it was.
    if (!hawserOnly) await within('hanging up', peer.closed);
    assert.equal((await task.state()).pid, task.pid);
    peer.socket.destroy();
  }
  const hanging = await RawPeer.connect(task.shim.socket);
  hanging.write(rawFrame(1, 1, 0, Buffer.alloc(100)).subarray(0, 50));
  assert.equal((await task.state()).pid, task.pid);
  hanging.socket.destroy();
});

shimTest('a peer of another user is hung up on, and gets no answer', async (lab) => {
  const task = await lab.task('c');
  const { socket } = task.shim;
  // Connect, with no id: the smallest request there is.
  const request = rawRequest(1, { service: 'containerd.task.v2.Task', method: 'Connect' });
  const own = await RawPeer.connect(socket);
  own.write(request);
  assert.equal((await within('an answer to ourselves', own.response())).code, 0);
  const script = `
    const socket = require('node:net').connect({ path: process.argv[1] }, () => socket.write(Buffer.from(process.argv[2], 'hex')));
    let bytes = 0;
    socket.on('data', (chunk) => { bytes += chunk.length; });
    socket.on('error', (error) => { if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') console.log(error.code); });
    socket.on('close', () => { console.log('closed after', bytes); });`;
  chmodSync(socket, 0o666);
  // The directories are closed to others as well, and that is not what is tested.
  const modes = ['/run/containerd', '/run/containerd/s'].map((dir) => [dir, statSync(dir).mode & 0o7777] as const);
  try {
    for (const [dir] of modes) chmodSync(dir, 0o711);
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', script, socket, request.toString('hex')], {
      uid: 65_534,
      gid: 65_534,
      encoding: 'utf8',
      timeout: 15_000,
      cwd: '/',
      env: {},
    });
    assert.deepEqual({ stdout, stderr }, { stdout: 'closed after 0\n', stderr: '' });
  } finally {
    for (const [dir, mode] of modes) chmodSync(dir, mode);
  }
  assert.equal((await task.state()).pid, task.pid);
});

shimTest('clients that come and go in the midst of calls harm nobody', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  for (let n = 0; n < 20; n++) {
    const shim = await lab.connect(task.shim.address);
    void shim.task.Wait({ id: 'c' }).catch(() => undefined);
    void shim.task.Stats({ id: 'c' }).catch(() => undefined);
    shim.client.close();
  }
  assert.equal((await task.remove()).exitStatus, 137);
});

shimTest(
  'serve without a socket says what is missing',
  async (lab) => {
    lab.bundle('c');
    const { status, stderr } = await lab.run(lab.flags('c'), { cwd: lab.bundlePath('c') });
    assert.equal(status, 1);
    assert.match(stderr, /^io\.containerd\.runc\.v2: /);
  },
  { skip: hawserOnly },
);

shimTest('start works with a closed stdin, a full environment, and a relative link to the program', async (lab) => {
  lab.bundle('c');
  mkdirSync(join(lab.dir, 'bin'));
  symlinkSync(SHIM, join(lab.dir, 'bin', 'containerd-shim-runc-v2'));
  const child = spawn(join(lab.dir, 'bin', 'containerd-shim-runc-v2'), [...lab.flags('c'), 'start'], {
    cwd: lab.bundlePath('c'),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      TTRPC_ADDRESS: lab.daemon.path,
      HAWSER_ZYGOTE: 'off',
      HAWSER_RUN_DIR: lab.runDir,
      NODE_OPTIONS: '--no-such-option',
      NODE_EXTRA_CA_CERTS: '/no/such/file',
      BIG: 'x'.repeat(100_000),
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await within('start', new Promise((resolve) => child.once('close', resolve)));
  const shim = await lab.connect(output);
  assert.ok(processInfo(shim.pid));
});

shimTest(
  "bug 55: an address of the daemon that nobody listens on, or none, doesn't keep containers from running",
  async (lab) => {
    lab.bundle('c', sh('exit 3'));
    const shim = await lab.shim('c', { env: { TTRPC_ADDRESS: '/no/such/socket' } });
    const task = await shim.create('c');
    await task.start();
    assert.equal((await task.wait()).exitStatus, 3);
    await task.delete();
    const peer = connect(shim.socket);
    peer.destroy();
    await shim.shutdown();
  },
);
