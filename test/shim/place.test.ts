/**
 * A plain start is answered by the launcher, before Node runs; any other by Node. Nobody can tell which it was, but by the
 * shim's timeline: only Node reads the bundle for it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { containerd, google } from '../../src/api/index.js';
import { listenUnix } from '../../src/sys/index.js';
import { eventually } from '../support/eventually.js';
import { stateOf } from '../support/debug.js';
import { allProcesses, zygotesIn } from '../support/machine.js';
import { addressIn, hawserOnly, SHIM, shimTest, type ActionOptions, type Lab } from '../support/shim.js';

const options: { skip: string | false } = { skip: hawserOnly };
const GROUP = 'io.containerd.runc.v2.group';
const SANDBOX = 'io.kubernetes.cri.sandbox-id';

/** Who found the place of a shim: the launcher, or Node. */
async function finder(shim: { socket: string }): Promise<'launcher' | 'node'> {
  const { timeline } = await stateOf(shim);
  return timeline.some(({ what }) => what === 'bundle read') ? 'node' : 'launcher';
}

/** The text of config.json as it is to be. */
function bundle(lab: Lab, id: string, edit: (spec: Record<string, unknown>, text: string) => string): void {
  const path = join(lab.bundle(id), 'config.json');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, edit(JSON.parse(text) as Record<string, unknown>, text));
}

const annotated =
  (annotations: unknown) =>
  (spec: Record<string, unknown>): string =>
    JSON.stringify({ ...spec, annotations });

/** Specs, and who is to find their place. What Node finds is right in any case (start.test.ts); both must find the same. */
const specs: Record<string, [(spec: Record<string, unknown>, text: string) => string, 'launcher' | 'node']> = {
  'no annotations': [(_, text) => text, 'launcher'],
  'null for annotations': [annotated(null), 'launcher'],
  'other annotations': [annotated({ a: '', 'b/c': 'x "y" \\ \u{1F600}' }), 'launcher'],
  'a sandbox': [annotated({ [SANDBOX]: 'pod-1' }), 'launcher'],
  'a group': [annotated({ [GROUP]: 'g.1' }), 'launcher'],
  'a group and a sandbox': [annotated({ [SANDBOX]: 'pod', [GROUP]: 'group' }), 'launcher'],
  'a sandbox after a group': [annotated({ [GROUP]: 'group', [SANDBOX]: 'pod' }), 'launcher'],
  'white space': [
    (spec) => `\n\t ${JSON.stringify({ ...spec, annotations: { [GROUP]: 'w' } }, null, 4).replaceAll('\n', '\r\n')} \n`,
    'launcher',
  ],
  'annotations of something else': [
    (spec) =>
      JSON.stringify({
        ...spec,
        x: { annotations: { [GROUP]: 'wrong' } },
        y: [{ [GROUP]: 'wrong' }],
        z: { [SANDBOX]: 'wrong' },
      }),
    'launcher',
  ],
  'a value that looks like it': [annotated({ a: `","${GROUP}":"wrong` }), 'launcher'],
  'annotations twice': [
    (_, text) =>
      text
        .replace('{', `{"annotations":{"${GROUP}":"first"},`)
        .replace(/\}\s*$/, `,"annotations":{"${SANDBOX}":"second"}}`),
    'launcher',
  ],
  'a group twice': [
    (_, text) => text.replace('{', `{"annotations":{"${GROUP}":"first","${GROUP}":"second"},`),
    'launcher',
  ],
  'numbers of all kinds': [
    (_, text) =>
      text.replace('{', '{"n":[0,-0,1.5,-2e3,3E-4,1e+5,12345678901234567890],"t":true,"f":false,"e":{},"l":[],'),
    'launcher',
  ],
  'an escape in a value that counts': [
    (_, text) => text.replace('{', `{"annotations":{"${GROUP}":"a\\u0062"},`),
    'node',
  ],
  'an escape in a name that counts': [
    (_, text) => text.replace('{', `{"annotations":{"io.containerd.runc.v2.grou\\u0070":"esc"},`),
    'node',
  ],
  'annotations by another spelling': [
    (_, text) => text.replace('{', `{"annotation\\u0073":{"${GROUP}":"spelt"},`),
    'node',
  ],
  'a group that is a path': [annotated({ [GROUP]: '../x/y' }), 'node'],
  'an empty group': [annotated({ [GROUP]: '' }), 'node'],
  'null for a group': [annotated({ [GROUP]: null, [SANDBOX]: 'pod' }), 'node'],
};

for (const [what, [edit, expected]] of Object.entries(specs)) {
  shimTest(
    `the place of a container with ${what} is the same, whoever finds it`,
    async (lab) => {
      bundle(lab, 'c', edit);
      const shim = await lab.shim('c');
      assert.equal(await finder(shim), expected);
      assert.equal(readFileSync(join(lab.bundlePath('c'), 'address'), 'utf8'), shim.address);
      assert.equal(statSync(join(lab.bundlePath('c'), 'address')).mode & 0o777, 0o644);
      assert.equal(statSync(shim.socket).mode & 0o777, 0o600);
      await shim.shutdown();
      assert.equal(existsSync(shim.socket), false);
      const other = await lab.shim('c', { env: { HAWSER_PLACE: 'off' } });
      assert.deepEqual([other.address, await finder(other)], [shim.address, 'node']);
      await other.shutdown();
    },
    options,
  );
}

for (const [what, text] of Object.entries({
  'cut short': '{"annotations":{"a":"b"}',
  'with a comma too many': '{"annotations":{},}',
  'with something after it': '{} {}',
  'that is no object': '[]x',
  'with a number like no other': '{"a":01}',
  'with a bare line break': '{"a":"\n"}',
  'that is empty': '',
  'with a tab in a literal': '{"a":tr\tue}',
})) {
  shimTest(
    `a spec ${what} is refused as Node refuses it`,
    async (lab) => {
      bundle(lab, 'c', () => text);
      const { status, stdout, stderr } = await lab.startAction('c');
      assert.deepEqual([status, stdout.toString()], [1, '']);
      assert.match(stderr, /config\.json is not valid JSON/);
      assert.equal(existsSync(join(lab.bundlePath('c'), 'address')), false);
    },
    options,
  );
}

const { BootstrapParams } = containerd.runtime.bootstrap.v1;

function params(lab: Lab, more: containerd.runtime.bootstrap.v1.BootstrapParams.$Properties): Buffer {
  return Buffer.from(BootstrapParams.encode({ instanceId: 'c', namespace: lab.namespace, ...more }).finish());
}

/** What comes with the start, and who is to answer it. */
const inputs: Record<string, [(lab: Lab) => ActionOptions, 'launcher' | 'node']> = {
  'options of runc': [
    (lab) => ({
      stdin: google.protobuf.Any.encode(
        lab.options({ systemdCgroup: false, binaryName: 'runc', ioUid: 70_000, criuPath: '' }),
      ).finish(),
    }),
    'launcher',
  ],
  'options by their older name': [
    (lab) => ({
      stdin: google.protobuf.Any.encode({
        ...lab.options(),
        type_url: 'types.containerd.io/containerd.runc.v1.Options',
      }).finish(),
    }),
    'launcher',
  ],
  'options of another type': [
    () => ({ stdin: google.protobuf.Any.encode({ type_url: 'some.Other', value: Buffer.from([8, 1]) }).finish() }),
    'node',
  ],
  'a cgroup for the shim': [
    (lab) => ({ stdin: google.protobuf.Any.encode(lab.options({ shimCgroup: '/' })).finish() }),
    'node',
  ],
  'the parameters of containerd 2.3': [
    (lab) => ({ stdin: params(lab, { logLevel: -4, containerdVersion: '2.3.4', containerdTtrpcAddress: '/x' }) }),
    'launcher',
  ],
  'parameters with options': [
    (lab) => ({ stdin: params(lab, { extensions: [{ value: lab.options({ binaryName: 'runc' }) }] }) }),
    'launcher',
  ],
  'parameters with a directory for sockets': [
    (lab) => ({ stdin: params(lab, { socketDir: join(lab.dir, 'of', 'sockets') }) }),
    'launcher',
  ],
  'parameters with a directory far from any that is there': [
    (lab) => ({ stdin: params(lab, { socketDir: join(lab.dir, 'far', 'from', 'any') }) }),
    'node',
  ],
  'parameters with a cgroup for the shim': [
    (lab) => ({ stdin: params(lab, { extensions: [{ value: lab.options({ shimCgroup: '/' }) }] }) }),
    'node',
  ],
  'parameters with more than options': [
    (lab) => ({ stdin: params(lab, { extensions: [{ value: { type_url: 'other', value: Buffer.from([1]) } }] }) }),
    'node',
  ],
  'parameters for another': [(lab) => ({ stdin: params(lab, { instanceId: 'd' }) }), 'node'],
  'what is no message': [() => ({ stdin: Buffer.alloc(70_000, 7) }), 'node'],
  'a message that is cut short': [
    (lab) => ({ stdin: google.protobuf.Any.encode(lab.options()).finish().subarray(0, -1) }),
    'node',
  ],
};

for (const [what, [input, expected]] of Object.entries(inputs)) {
  shimTest(
    `a start with ${what} is answered by ${expected === 'node' ? 'Node' : 'the launcher'}`,
    async (lab) => {
      lab.bundle('c');
      const { status, stdout, stderr } = await lab.startAction('c', input(lab));
      assert.deepEqual([status, stderr], [0, '']);
      const shim = await lab.connect(addressIn(stdout));
      assert.equal(await finder(shim), expected);
      await shim.shutdown();
      const other = await lab.startAction('c', { ...input(lab), env: { HAWSER_PLACE: 'off' } });
      assert.deepEqual(other.stdout, stdout, 'Node says the same');
      await (await lab.connect(addressIn(other.stdout))).shutdown();
    },
    options,
  );
}

shimTest(
  'a member of a group that is served gets its address, without Node and without the zygote',
  async (lab) => {
    const env = { HAWSER_ZYGOTE: '600' };
    for (const id of ['a', 'b'])
      lab.bundle(id, undefined, (spec) => {
        spec.annotations = { [SANDBOX]: 'pod' };
      });
    const first = await lab.shim('a', { env });
    const zygote = (): number | undefined => zygotesIn(lab.runDir)[0];
    const waiting = await eventually('a zygote', zygote);
    assert.equal((await lab.shim('b', { env })).pid, first.pid);
    assert.equal(readFileSync(join(lab.bundlePath('b'), 'address'), 'utf8'), first.address);
    assert.equal(zygote(), waiting);
  },
  options,
);

shimTest(
  'a dead socket is replaced, and that by Node',
  async (lab) => {
    lab.bundle('c');
    const first = await lab.shim('c');
    await first.shutdown();
    closeSync(listenUnix(first.socket));
    assert.ok(existsSync(first.socket));
    const second = await lab.shim('c');
    assert.deepEqual([second.address, await finder(second)], [first.address, 'node']);
  },
  options,
);

shimTest(
  'a daemon that has given up gets no shim',
  async (lab) => {
    lab.bundle('c');
    const first = await lab.shim('c');
    await first.shutdown();
    const { status } = spawnSync('sh', ['-c', 'exec "$0" "$@" >/dev/full', SHIM, ...lab.flags('c'), 'start'], {
      cwd: lab.bundlePath('c'),
      env: { ...process.env, TTRPC_ADDRESS: lab.daemon.path, HAWSER_RUN_DIR: lab.runDir, HAWSER_ZYGOTE: 'off' },
      input: '',
    });
    assert.equal(status, 1);
    assert.equal(existsSync(first.socket), false);
    assert.deepEqual(
      allProcesses().filter(({ command }) => command.includes(`-id c `) && command.includes(lab.grpcAddress)),
      [],
    );
  },
  options,
);

shimTest(
  "what Node says when it cannot run the shim is in the daemon's log, and nobody answers",
  async (lab) => {
    lab.bundle('c');
    // An installation whose bundle is broken.
    const library = join(lab.dir, 'lib/hawser');
    mkdirSync(library, { recursive: true });
    mkdirSync(join(lab.dir, 'bin'));
    const binary = join(lab.dir, 'bin/containerd-shim-runc-v2');
    writeFileSync(binary, readFileSync(SHIM), { mode: 0o755 });
    symlinkSync(process.execPath, join(library, 'node'));
    writeFileSync(join(library, 'shim.cjs'), 'throw new Error("broken on purpose")');
    const { status, stdout } = await lab.startAction('c', { binary });
    assert.equal(status, 0);
    await eventually('the log tells it', () => lab.log.includes('broken on purpose'));
    await assert.rejects(lab.connect(addressIn(stdout)));
    rmSync(addressIn(stdout).slice('unix://'.length));
  },
  options,
);
