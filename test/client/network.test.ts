/** Networks from a program: by the real plugins in a network that is the daemon's alone, and by plugins that fail as a test says. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  AlreadyExistsError,
  Client,
  FailedPreconditionError,
  InvalidArgumentError,
  NotFoundError,
} from '../../src/client/index.js';
import { packSpec } from '../../src/client/record.js';
import { NETWORKS } from '../../src/client/nerdctl.js';
import { ClientLab, sh } from '../support/client-lab.js';
import { onHawserd } from '../support/daemons.js';
import { FakePlugins } from '../support/fake-plugins.js';
import { mountsBelow } from '../support/machine.js';
import { NetworkHost } from '../support/network-host.js';

/** Their bridges are looked for on the machine, too, when they are removed. */
const [NETWORK, SECOND] = ['hawser-test-lab', 'hawser-test-one'];

let host: NetworkHost;
let lab: ClientLab;
before(async () => {
  host = await NetworkHost.open();
  lab = await ClientLab.open(host);
});
after(async () => {
  await lab.close();
  host.close();
});

/** Directories of states, of all containers. */
function states(dir = join(lab.daemon.dir, 'network')): string[] {
  const top = join(dir, 'containers');
  return existsSync(top) ? readdirSync(top).flatMap((scope) => readdirSync(join(top, scope))) : [];
}

test('a network is made, used and removed; a container tells what it has', async () => {
  const { networks } = lab.client;
  const made = await networks.create({ name: NETWORK, subnets: ['10.94.0.0/24'], labels: { a: 'b' } });
  assert.deepEqual(
    [made.driver, made.own, made.labels, made.subnets],
    ['bridge', true, { a: 'b' }, [{ subnet: '10.94.0.0/24', gateway: '10.94.0.1' }]],
  );
  assert.deepEqual(
    (await networks.list()).map(({ name }) => name),
    [NETWORK],
  );
  const { container } = await lab.start(['sleep', '1000'], {
    network: [NETWORK],
    ip: '10.94.0.7',
    ports: ['18500:80', { containerPort: 53, protocol: 'udp' }],
    networkAliases: ['www'],
  });
  const { ports, attachments, networks: names } = networks.of(container.id);
  assert.deepEqual(names, [NETWORK]);
  assert.deepEqual(ports[0], { hostIp: '', hostPort: 18500, containerPort: 80, protocol: 'tcp' });
  assert.ok(ports[1]!.hostPort >= 49_153);
  assert.deepEqual([attachments[0]?.addresses, attachments[0]?.gateways], [['10.94.0.7/24'], ['10.94.0.1']]);
  const [member] = (await networks.inspect(NETWORK)).members;
  assert.deepEqual(
    [member?.id, member?.namespace, member?.attachment?.interface],
    [container.id, lab.namespace, 'eth0'],
  );
  assert.match((await container.output(['cat', '/etc/hosts'])).stdout, /^10\.94\.0\.7\t\S+ www$/m);
  await assert.rejects(networks.remove(NETWORK), FailedPreconditionError);
  await container.delete({ kill: true });
  assert.deepEqual(networks.of(container.id), { networks: [], ports: [], attachments: [] });
  assert.deepEqual(await host.traces(NETWORK), [], 'no interface, no rule of it');
  await networks.remove(NETWORK);
  await assert.rejects(networks.inspect(NETWORK), NotFoundError);
  assert.deepEqual(states(), []);
  await lab.nothingLeft();
});

test('what can never do, and what is not there, is an error of its class, and leaves nothing', async () => {
  const { networks } = lab.client;
  await networks.create({ name: SECOND });
  await assert.rejects(networks.create({ name: SECOND }), AlreadyExistsError);
  await assert.rejects(networks.create({ name: 'a b' }), InvalidArgumentError);
  await assert.rejects(lab.create(['true'], { network: 'none', ports: ['80'] }), InvalidArgumentError);
  await assert.rejects(lab.create(['true'], { network: 'nowhere' }), NotFoundError);
  await assert.rejects(lab.create(['true'], { network: 'container:nobody' }), NotFoundError);
  await assert.rejects(lab.create(['true'], { network: [SECOND, SECOND] }), InvalidArgumentError);
  await assert.rejects(lab.create(['true'], { network: SECOND, ip: 'x' }), InvalidArgumentError);
  const idle = await lab.create(['sleep', '1000']);
  const joining = await lab.create(['true'], { network: 'container:none' }).catch((error: unknown) => error);
  assert.ok(joining instanceof NotFoundError);
  await assert.rejects(lab.create(['true'], { network: `container:${idle.id}` }), FailedPreconditionError);
  await idle.delete();
  await networks.remove(SECOND);
  assert.deepEqual(states(), []);
  await lab.nothingLeft();
});

test('two programs that make the default network at once make one', async () => {
  const all = await Promise.all(Array.from({ length: 4 }, () => lab.create(['true'], { network: 'bridge' })));
  assert.deepEqual(
    (await lab.client.networks.list()).map(({ name }) => name),
    ['bridge'],
  );
  for (const container of all) await container.delete();
  assert.deepEqual(await lab.client.networks.prune(), [], 'the default one stays');
});

test('a spec that is given as a whole is left as it is', async () => {
  const model = await lab.create(['true']);
  const container = await lab.create([], { args: undefined, spec: model.record.spec });
  assert.deepEqual(lab.client.networks.of(container.id).networks, []);
  await container.delete();
  await model.delete();
  assert.deepEqual(states(), []);
});

test('plugins that fail: all is undone and told; what cannot be undone is kept and tried again', async (t) => {
  const fake = new FakePlugins(lab.daemon.dir);
  const { socket: address, namespace, dir } = lab.daemon;
  const stateDir = join(dir, 'fake-state');
  const client = await Client.connect({
    address,
    namespace,
    fifoDir: lab.fifoDir,
    networkPlaces: { stateDir, confDir: fake.conf, pluginDirs: [fake.bin], pinDir: join(dir, 'pins') },
  });
  t.after(() => client.close());
  const create = (id: string, network: string): ReturnType<Client['create']> =>
    client.create({ id, rootfs: lab.daemon.rootfs, args: sh('sleep 1000'), env: { PATH: '/bin' }, network });
  const result = { ips: [{ address: '10.1.0.2/24' }] };
  fake.plugin('good', result);
  fake.network('sound', { type: 'good' });
  fake.network('broken', { type: 'good' }, { type: 'bad' });

  await t.test('a missing plugin is told before anything is made', async () => {
    await assert.rejects(create('f0', 'broken'), /network broken needs the CNI plugin bad, which is not in/);
    assert.deepEqual(fake.calls, []);
  });

  await t.test('ADD fails', async () => {
    fake.plugin('bad', {}, { ADD: 'no luck today' });
    const container = await create('f1', 'broken');
    await assert.rejects(container.start(), /hawser-network: plugin bad failed \(ADD\): no luck today/);
    const order = fake.order;
    assert.deepEqual(order.slice(0, 4), ['good ADD', 'bad ADD', 'bad DEL', 'good DEL']);
    assert.ok(!existsSync(join(dir, 'pins')) || readdirSync(join(dir, 'pins')).length === 0, 'no namespace is held');
    await container.delete();
    fake.forgetCalls();
  });

  await t.test('DEL fails: it is tried again when the container is removed, and told', async () => {
    fake.plugin('bad', result, { DEL: 'still in use' });
    const container = await create('f2', 'broken');
    await container.start({ stdout: 'ignore', stderr: 'ignore' });
    await container.deleteTask({ kill: true });
    assert.deepEqual(fake.order.slice(0, 4), ['good ADD', 'bad ADD', 'bad DEL', 'good DEL']);
    assert.match(
      (await client.networks.tidy()).join(),
      /container f2: network broken: plugin bad failed \(DEL\): still in use/,
    );
    fake.plugin('bad', result);
    assert.deepEqual(await client.networks.tidy(), []);
    await container.delete();
    assert.deepEqual(states(stateDir), []);
    fake.forgetCalls();
  });

  await t.test('each start is an ADD, each end a DEL with what was said before', async () => {
    const container = await create('f3', 'sound');
    for (let i = 0; i < 2; i++) {
      await container.start({ stdout: 'ignore', stderr: 'ignore' });
      await container.deleteTask({ kill: true });
    }
    assert.deepEqual(fake.order, ['good ADD', 'good DEL', 'good ADD', 'good DEL']);
    const [added, deleted] = fake.calls;
    assert.equal(deleted!.container, added!.container);
    assert.equal(deleted!.netns, added!.netns, 'the namespace is still there');
    assert.deepEqual(deleted!.config.prevResult, { cniVersion: '0.4.0', ...result });
    await container.delete();
    assert.deepEqual(states(stateDir), []);
  });
  await lab.nothingLeft();
});

test('containers of others are members by nerdctl\u2019s label, and keep a network from being removed', async () => {
  const { networks, services } = lab.client;
  await networks.create({ name: NETWORK });
  const ours = await lab.create(['sleep', '1000'], { id: 'named', network: [NETWORK], hostname: 'its-host' });
  const { labels, spec } = ours.record;
  assert.deepEqual(
    [labels['nerdctl/name'], labels['nerdctl/hostname'], labels[NETWORKS], spec.annotations?.[NETWORKS]],
    ['named', 'its-host', `["${NETWORK}"]`, '["none"]'],
  );
  await ours.delete();
  const namespace = `${lab.namespace}-other`;
  await services.namespaces.Create({ namespace: { name: namespace } });
  const container = {
    id: 'stranger',
    labels: { 'nerdctl/name': 'theirs', [NETWORKS]: `["other","${NETWORK}"]` },
    runtime: { name: 'io.containerd.runc.v2' },
    spec: packSpec(spec),
  };
  await services.containers.Create({ container }, { namespace });
  await services.containers.Create(
    { container: { ...container, id: 'odd', labels: { [NETWORKS]: '{' } } },
    { namespace },
  );
  assert.deepEqual((await networks.inspect(NETWORK)).members, [
    { id: 'stranger', namespace, name: 'theirs', attachment: undefined },
  ]);
  await assert.rejects(networks.remove(NETWORK), /is used by container theirs of namespace \S+: remove it first/);
  assert.deepEqual(await networks.prune(), []);
  for (const id of ['stranger', 'odd']) await services.containers.Delete({ id }, { namespace });
  await services.namespaces.Delete({ name: namespace });
  assert.deepEqual(await networks.prune(), [NETWORK]);
});

/** The system calls by which the hook changes something. */
const CHANGES = ['mkdir', 'rename', 'unlink', 'rmdir', 'mount', 'flock', 'socketpair'];
// Which daemon there is makes no difference to a hook.
const skip = !onHawserd && 'it is tried on hawserd';

test(
  'killed at every step of its set-up, nothing of it is left, and the next start works',
  { skip, timeout: 540_000 },
  async (t) => {
    const { client, daemon } = lab;
    // As before: its bridge is still on the daemon's host, which this process does not see.
    await client.networks.create({ name: NETWORK, subnets: ['10.94.0.0/24'] });
    const made = await lab.create(['sleep', '1000'], { id: 'victim', network: [NETWORK], ports: ['18510:80'] });
    const { spec } = made.record;
    const [hook] = spec.hooks!.createRuntime!;
    const addresses = join(daemon.dir, 'network/addresses', NETWORK);
    const [scope = ''] = readdirSync(join(daemon.dir, 'network/containers'));
    const traces = async (): Promise<unknown> => ({
      host: await host.traces(NETWORK),
      leases: (existsSync(addresses) ? readdirSync(addresses) : []).filter((name) => /^\d/.test(name)),
      pins: mountsBelow('/run/hawser/netns').filter((one) => one.includes(scope)),
      up: existsSync(join(daemon.dir, 'network/containers', scope, 'victim/up.json')),
    });
    const NONE = { host: [], leases: [], pins: [], up: false };
    /** @returns whether it was started */
    const start = async (createRuntime: typeof hook): Promise<boolean> => {
      const changed = { ...spec, hooks: { ...spec.hooks, createRuntime: [createRuntime!] } };
      await client.services.containers.Update({
        container: { id: 'victim', spec: packSpec(changed) },
        updateMask: { paths: ['spec'] },
      });
      const container = await client.load('victim');
      try {
        await container.start({ stdout: 'ignore', stderr: 'ignore' });
      } catch (error) {
        assert.match((error as Error).message, /hook/);
        return false;
      }
      assert.equal(client.networks.of('victim').attachments.length, 1);
      await container.deleteTask({ kill: true });
      return true;
    };
    // Each call is counted by itself.
    const killedAt = (call: string, n: number): typeof hook => ({
      ...hook!,
      path: '/usr/bin/strace',
      args: [
        ...['strace', '-qq', '-o', '/dev/null', '-e', `trace=${call}`],
        ...['-e', `inject=${call}:signal=SIGKILL:when=${n}`, ...hook!.args!],
      ],
    });
    let steps = 0;
    for (const call of CHANGES) {
      for (let n = 1; !(await start(killedAt(call, n))); n++, steps++) {
        assert.deepEqual(await traces(), NONE, `${call} ${n}`);
        assert.equal(await start(hook), true, `after ${call} ${n}`);
        assert.deepEqual(await traces(), NONE, `after ${call} ${n}`);
      }
    }
    t.diagnostic(`killed at ${steps} steps`);
    assert.ok(steps > 10, `${steps} steps`);
    await (await client.load('victim')).delete();
    await client.networks.remove(NETWORK);
    assert.deepEqual(states(), []);
    await lab.nothingLeft();
  },
);
