/** Networks, as far as no container is needed: what is asked for, configurations, files, and how plugins are run. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { contains, nth, overlap, parseSubnet, subnetText } from '../../src/client/network/addresses.js';
import { attach, attachingOf, detach } from '../../src/client/network/cni/attach.js';
import {
  parseConfig,
  pluginTypes,
  readConfigs,
  type NetworkConfig,
  type PluginConfig,
} from '../../src/client/network/cni/config.js';
import { attachmentOf } from '../../src/client/network/cni/result.js';
import { foreignNetwork } from '../../src/client/network/foreign.js';
import { checkExtraHost, hostsText, renewedHosts, resolvText } from '../../src/client/network/files.js';
import { withLock } from '../../src/client/network/lock.js';
import { makeConfig } from '../../src/client/network/make-config.js';
import { choosePorts, clash, parsePorts, portText } from '../../src/client/network/ports.js';
import { checkRequirements } from '../../src/client/network/requirements.js';
import { bootId, hasEnded, ownNamespaces, type Request, type Up } from '../../src/client/network/state.js';
import { startOf } from '../../src/client/process-start.js';
import { FakePlugins } from '../support/fake-plugins.js';

function directory(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-network-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

test("nerdctl's containers: networks and old ports by labels, the rest by what CNI's library keeps", (t) => {
  const dir = directory(t);
  const labels = { 'nerdctl/namespace': 'app', 'nerdctl/networks': '["front","back"]' };
  const keep = (name: string, more: object): void =>
    writeFileSync(
      join(dir, name),
      JSON.stringify({ kind: 'cniCacheV1', containerId: 'app-web', netns: '/proc/self/ns/net', result: {}, ...more }),
    );
  const nothing = { networks: ['front', 'back'], ports: [], attachments: [] };
  assert.deepEqual(foreignNetwork('web', labels, dir), nothing);
  assert.deepEqual(foreignNetwork('web', labels, join(dir, 'none')), nothing);
  assert.deepEqual(foreignNetwork('web', {}, dir), { ...nothing, networks: [] });
  // One that was not given back, loopbacks, other containers, what is being written, and other forms.
  keep('front-app-web-eth0', { networkName: 'front', ifName: 'eth0', netns: '/proc/0/ns/net' });
  keep('lo-app-web-lo', { networkName: 'cni-loopback', ifName: 'lo' });
  keep('front-app-web-2-eth0', { containerId: 'app-web-2', networkName: 'front', ifName: 'eth0' });
  keep('odd-app-web-eth0', { kind: 'another', networkName: 'odd', ifName: 'eth0' });
  writeFileSync(join(dir, 'half-app-web-eth0'), '{');
  assert.deepEqual(foreignNetwork('web', labels, dir), nothing);
  const portMappings = [
    { HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '0.0.0.0' },
    { hostPort: 53, containerPort: 5353, protocol: 'udp', hostIP: '::1' },
    { HostPort: 'odd' },
  ];
  const ips = [{ address: '10.4.0.2/24', gateway: '10.4.0.1' }];
  keep('back-app-web-eth1', { networkName: 'back', ifName: 'eth1' });
  keep('front-app-web-eth0', {
    networkName: 'front',
    ifName: 'eth0',
    result: { ips },
    capabilityArgs: { portMappings },
  });
  const { ports, attachments } = foreignNetwork('web', labels, dir);
  assert.deepEqual(ports.map(portText), ['0.0.0.0:8080->80/tcp', '[::1]:53->5353/udp']);
  assert.deepEqual(
    attachments.map(({ network, interface: name, addresses, gateways }) => [network, name, addresses, gateways]),
    [
      ['front', 'eth0', ['10.4.0.2/24'], ['10.4.0.1']],
      ['back', 'eth1', [], []],
    ],
  );
  const old = { ...labels, 'nerdctl/ports': JSON.stringify([{ HostPort: 1, ContainerPort: 2, Protocol: 'sctp' }]) };
  assert.deepEqual(foreignNetwork('other', old, dir).ports.map(portText), ['0.0.0.0:1->2/sctp']);
  assert.deepEqual(foreignNetwork('other', { ...old, 'nerdctl/ports': '{' }, dir).ports, []);
});

test('ports as docker writes them', () => {
  const text = (given: string): string[] => choosePorts(parsePorts([given]), []).map(portText);
  assert.deepEqual(text('8080:80'), ['0.0.0.0:8080->80/tcp']);
  assert.deepEqual(text('127.0.0.1:53:5353/udp'), ['127.0.0.1:53->5353/udp']);
  assert.deepEqual(text('[::1]:53:53'), ['[::1]:53->53/tcp']);
  assert.deepEqual(text('8000-8001:80-81/sctp'), ['0.0.0.0:8000->80/sctp', '0.0.0.0:8001->81/sctp']);
  assert.match(text('80')[0]!, /^0\.0\.0\.0:(49|5\d|6\d)\d{3}->80\/tcp$/);
  assert.match(text('127.0.0.1::80')[0]!, /^127\.0\.0\.1:\d{5}->80\/tcp$/);
  assert.equal(text('80-82').length, 3);
  for (const wrong of [
    '',
    'a',
    '80/icmp',
    '0:80',
    '1:65536',
    '1:2:3:4',
    '9-8:1-2',
    '1-2:1-3',
    '300.1.1.1:1:1',
    '::1:80:80',
    '-1:80',
  ])
    assert.throws(
      () => parsePorts([wrong]),
      new RegExp(`^InvalidArgumentError: port "${wrong.replace(/[.[\]]/g, '\\$&')}"`),
      wrong,
    );
});

test('a port of a range, or any, is one that nobody has', () => {
  const used = [{ hostIp: '', hostPort: 8000, protocol: 'tcp' as const }];
  assert.deepEqual(choosePorts(parsePorts(['8000-8002:80']), used).map(portText), ['0.0.0.0:8001->80/tcp']);
  assert.deepEqual(
    choosePorts(parsePorts(['8000-8002:80', '8000-8002:81']), used).map(({ hostPort }) => hostPort),
    [8001, 8002],
  );
  assert.throws(
    () => choosePorts(parsePorts(['8000-8000:80', '8000:81']), []),
    /8000\/tcp of the host's is asked for twice/,
  );
  const all = Array.from({ length: 2 }, (_, i) => ({
    hostIp: '10.0.0.1',
    hostPort: 9000 + i,
    protocol: 'tcp' as const,
  }));
  assert.throws(() => choosePorts(parsePorts(['9000-9001:80']), all), /no port of the host's is free in 9000-9001/);
  assert.ok(!clash(all[0]!, { ...all[0]!, hostIp: '10.0.0.2' }));
  assert.ok(!clash(all[0]!, { ...all[0]!, protocol: 'udp' }));
  assert.ok(clash(all[0]!, { ...all[0]!, hostIp: '0.0.0.0' }));
});

test('subnets: their addresses, what is in them, what overlaps', () => {
  assert.equal(subnetText(parseSubnet('10.1.2.3/16')!), '10.1.0.0/16');
  assert.equal(subnetText(parseSubnet('fd00:1::5/64')!), 'fd00:1::/64');
  assert.equal(nth(parseSubnet('10.1.0.0/16')!, 1), '10.1.0.1');
  assert.equal(nth(parseSubnet('10.1.0.0/16')!, -2), '10.1.255.254');
  assert.equal(nth(parseSubnet('fd00::/64')!, 1), 'fd00::1');
  for (const wrong of ['10.0.0.0', '10.0.0.0/33', 'x/8', 'fd00::/129', '/8', '10.0.0.0/'])
    assert.equal(parseSubnet(wrong), undefined, wrong);
  assert.ok(overlap(parseSubnet('10.0.0.0/8')!, parseSubnet('10.67.3.0/24')!));
  assert.ok(!overlap(parseSubnet('10.67.2.0/24')!, parseSubnet('10.67.3.0/24')!));
  assert.ok(!contains(parseSubnet('10.0.0.0/8')!, 'fd00::1'));
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 1, max: 30 }), (address, prefix) => {
      const subnet = parseSubnet(`${address}/${prefix}`)!;
      return contains(subnet, address) && contains(subnet, nth(subnet, -1)) && nth(subnet, 0) === subnet.address;
    }),
  );
  fc.assert(
    fc.property(fc.ipV6(), fc.integer({ min: 1, max: 126 }), (address, prefix) => {
      const subnet = parseSubnet(`${address}/${prefix}`)!;
      return contains(subnet, address) && contains(subnet, nth(subnet, -1)) && nth(subnet, 0) === subnet.address;
    }),
  );
});

test('configurations: lists and single plugins, the first of a name; what cannot be read is passed over, and told', (t) => {
  const dir = directory(t);
  writeFileSync(
    join(dir, '10-a.conflist'),
    JSON.stringify({ name: 'a', cniVersion: '1.0.0', plugins: [{ type: 'bridge', ipam: { type: 'host-local' } }] }),
  );
  writeFileSync(join(dir, '20-b.conf'), JSON.stringify({ name: 'b', type: 'macvlan' }));
  writeFileSync(join(dir, '30-a.conflist'), JSON.stringify({ name: 'a', plugins: [{ type: 'ptp' }] }));
  writeFileSync(join(dir, 'half.conflist'), '{"name": ');
  writeFileSync(join(dir, 'path.conf'), JSON.stringify({ name: 'p', type: '../../bin/sh' }));
  writeFileSync(join(dir, 'notes.txt'), 'no network');
  const bad: string[] = [];
  const found = readConfigs({ confDir: dir }, (file) => bad.push(file));
  assert.deepEqual(
    found.map((one) => [one.name, one.cniVersion, ...pluginTypes(one)]),
    [
      ['a', '1.0.0', 'bridge', 'host-local'],
      ['b', '0.1.0', 'macvlan'],
    ],
  );
  assert.deepEqual(bad, [join(dir, 'half.conflist'), join(dir, 'path.conf')]);
  assert.deepEqual(readConfigs({ confDir: join(dir, 'none') }), []);
  // nerdctl's of a namespace.
  mkdirSync(join(dir, 'mine'));
  for (const name of ['a', 'c'])
    writeFileSync(join(dir, `mine/nerdctl-${name}.conflist`), JSON.stringify({ name, plugins: [{ type: 'vlan' }] }));
  const named = (namespace: string): string[] =>
    readConfigs({ confDir: dir, namespace }).map((one) => `${one.name} ${one.plugins[0]!.type}`);
  assert.deepEqual(named('mine'), ['a bridge', 'b macvlan', 'c vlan']);
  assert.deepEqual(named('other'), ['a bridge', 'b macvlan']);
});

test('a network that is made: its subnet is free, its parts are what was asked for', () => {
  const made = (options: Parameters<typeof makeConfig>[0], known: NetworkConfig[] = []): NetworkConfig =>
    parseConfig(JSON.stringify(makeConfig(options, known, '/data')), '/x');
  const subnets = ({ plugins }: NetworkConfig): string[] =>
    (plugins[0]!.ipam!.ranges as { subnet: string }[][]).flat().map(({ subnet }) => subnet);
  const first = made({ name: 'bridge' });
  assert.equal(first.plugins[0]!.bridge, 'hawser0');
  assert.deepEqual(pluginTypes(first), ['bridge', 'host-local', 'portmap', 'firewall', 'tuning']);
  const second = made({ name: 'two', ipv6: true }, [first]);
  assert.equal(subnets(second).length, 2);
  assert.ok(!subnets(second).includes(subnets(first)[0]!));
  assert.match(subnets(second)[1]!, /^fd..:.*::\/64$/);
  const internal = made({ name: 'in', internal: true });
  assert.deepEqual([internal.plugins[0]!.isGateway, internal.plugins[0]!.ipMasq], [false, false]);
  assert.ok(!pluginTypes(internal).includes('portmap'));
  const wide = made({
    name: 'wide',
    subnets: ['10.9.0.0/16'],
    gateways: ['10.9.0.9'],
    ipRange: '10.9.255.0/24',
    options: { mtu: '1400' },
  });
  assert.deepEqual(wide.plugins[0]!.ipam!.ranges, [
    [{ subnet: '10.9.0.0/16', gateway: '10.9.0.9', rangeStart: '10.9.255.0', rangeEnd: '10.9.255.254' }],
  ]);
  assert.equal(wide.plugins[0]!.mtu, 1400);
  const lan = made({ name: 'lan', driver: 'macvlan', options: { parent: 'eth7', macvlan_mode: 'private' } });
  assert.deepEqual(
    [lan.plugins[0]!.type, lan.plugins[0]!.master, lan.plugins[0]!.mode],
    ['macvlan', 'eth7', 'private'],
  );
  for (const [options, why] of [
    [{ name: 'two', subnets: ['10.67.0.0/16'] }, /overlaps with 10\.67\.\d+\.0\/24 of network bridge/],
    [{ name: 'two', options: { bridge: 'hawser0' } }, /interface hawser0 is that of network bridge/],
    [{ name: 'two', subnets: ['10.1.0.0/31'] }, /is not like 10\.1\.0\.0\/24/],
    [{ name: 'two', subnets: ['10.1.0.0/24'], gateways: ['10.2.0.1'] }, /gateway 10\.2\.0\.1 is not in its subnet/],
    [{ name: 'two', subnets: ['10.1.0.0/24'], ipRange: '10.2.0.0/25' }, /is no part of its subnet/],
    [{ name: 'two', options: { color: 'red' } }, /no option "color"/],
    [{ name: 'two', options: { bridge: 'longer-than-15-letters' } }, /no name of an interface/],
    [{ name: 'two', driver: 'ipvlan', options: { mode: 'vepa' } }, /mode "vepa" of ipvlan: there are l2/],
  ] as const)
    assert.throws(() => made(options, [first]), why);
});

const REQUEST: Request = {
  version: 1,
  id: 'c1',
  namespace: 'default',
  address: '/x',
  name: 'c1',
  hostname: 'web',
  aliases: ['www'],
  networks: ['n'],
  wanted: [{ name: 'n', interface: 'eth0', args: [] }],
  ports: [],
  resolving: { dns: [], search: [], options: [] },
  extraHosts: ['db:10.0.0.5', 'me:host-gateway'],
  places: { confDir: '', pluginDirs: [], stateDir: '', pinDir: '' },
};
const attachment = (network: string, address: string): ReturnType<typeof attachmentOf> => ({
  network,
  interface: 'eth0',
  addresses: [address],
  gateways: ['10.1.0.1'],
  mac: '',
});

test('/etc/hosts: its own names, others of its networks, lines that were asked for; what it adds itself stays', () => {
  const own = [attachment('n', '10.1.0.2/24')];
  const text = hostsText(REQUEST, own, [
    { names: ['db2'], attachments: [attachment('n', '10.1.0.3/24'), attachment('m', '10.2.0.3/24')] },
    { names: ['far'], attachments: [attachment('m', '10.2.0.4/24')] },
  ]);
  assert.match(text, /^127\.0\.0\.1\tlocalhost\n/);
  assert.match(text, /^10\.1\.0\.2\tweb c1 www$/m);
  assert.match(text, /^10\.1\.0\.3\tdb2 db2\.n$/m);
  assert.match(text, /^10\.0\.0\.5\tdb$/m);
  assert.match(text, /^10\.1\.0\.1\tme$/m);
  assert.ok(!text.includes('far') && !text.includes('10.2.0.'), 'who shares no network is not there');
  const changed = renewedHosts(`${text}1.2.3.4\tmine\n`, REQUEST, own, [])!;
  assert.ok(!changed.includes('db2') && changed.endsWith('1.2.3.4\tmine\n'));
  assert.equal(renewedHosts('127.0.0.1 localhost\n', REQUEST, own, []), undefined, 'it wants it otherwise');
  assert.match(hostsText(REQUEST, [], []), /^127\.0\.1\.1\tweb c1 www$/m);
  for (const wrong of ['db', 'db:', ':1.2.3.4', 'db:x', 'a b:1.2.3.4'])
    assert.throws(() => checkExtraHost(wrong), /it is NAME:ADDRESS/, wrong);
  assert.equal(checkExtraHost('v6:[fd00::1]'), 'v6:fd00::1');
});

test("/etc/resolv.conf: the host's, or the servers behind its stub, or public ones; and what is given", () => {
  const host = (files: Record<string, string>) => (path: string) => files[path];
  const nothing = { dns: [], search: [], options: [] };
  const plain = host({
    '/etc/resolv.conf': '# x\nnameserver 10.0.0.53\nsearch a.test b.test\noptions ndots:3 edns0\n',
  });
  assert.equal(resolvText(nothing, plain), 'nameserver 10.0.0.53\nsearch a.test b.test\noptions ndots:3 edns0\n');
  const stub = {
    '/etc/resolv.conf': 'nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch stub.test\n',
    '/run/systemd/resolve/resolv.conf': 'nameserver 192.168.1.1\nsearch lan\n',
  };
  assert.equal(resolvText(nothing, host(stub)), 'nameserver 192.168.1.1\nsearch lan\n');
  assert.equal(
    resolvText(nothing, host({ '/etc/resolv.conf': 'nameserver 127.0.0.1\nnameserver 1.2.3.4\n' })),
    'nameserver 1.2.3.4\n',
  );
  for (const files of [{}, { '/etc/resolv.conf': 'nameserver ::1\n' }] as Record<string, string>[])
    assert.match(resolvText(nothing, host(files)), /^nameserver 8\.8\.8\.8\nnameserver 8\.8\.4\.4\n/);
  assert.equal(
    resolvText({ dns: ['9.9.9.9'], search: ['.'], options: ['ndots:1'] }, plain),
    'nameserver 9.9.9.9\noptions ndots:1\n',
  );
});

test('what plugins say, in every version of the standard', () => {
  const interfaces = [{ name: 'br0' }, { name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/x' }];
  assert.deepEqual(
    attachmentOf('n', 'eth0', {
      interfaces,
      ips: [
        { version: '4', interface: 1, address: '10.1.0.2/24', gateway: '10.1.0.1' },
        { interface: 0, address: '10.1.0.1/24' },
      ],
    }),
    { network: 'n', interface: 'eth0', addresses: ['10.1.0.2/24'], gateways: ['10.1.0.1'], mac: '02:00:00:00:00:01' },
  );
  assert.deepEqual(attachmentOf('n', 'eth0', { ip4: { ip: '10.1.0.2/24', gateway: '10.1.0.1' } }).addresses, [
    '10.1.0.2/24',
  ]);
  assert.deepEqual(attachmentOf('n', 'eth0', {}).addresses, []);
});

test('plugins: one after the other with the result before; all in reverse to undo, whatever each says', async (t) => {
  const fake = new FakePlugins(directory(t));
  fake.plugin('one', { ips: [{ address: '10.1.0.2/24' }] }, { DEL: 'one is stuck' });
  fake.plugin('two', { ips: [{ address: '10.1.0.2/24' }] });
  fake.network('n', { type: 'one' }, { type: 'two', capabilities: { portMappings: true } });
  const [config] = readConfigs({ confDir: fake.conf });
  const dirs = { pluginDirs: [fake.bin] };
  const attaching = attachingOf(config!, {
    interface: 'eth0',
    containerId: 'c1',
    netns: '/run/netns/x',
    args: ['IP=10.1.0.2'],
    ports: [{ hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
  });
  const result = await attach(dirs, attaching);
  assert.deepEqual(fake.order, ['one ADD', 'two ADD']);
  const [first, second] = fake.calls;
  assert.deepEqual(
    [first!.container, first!.netns, first!.interface, first!.args],
    ['c1', '/run/netns/x', 'eth0', 'IgnoreUnknown=1;IP=10.1.0.2'],
  );
  assert.deepEqual(first!.config, { type: 'one', name: 'n', cniVersion: '0.4.0' });
  assert.deepEqual(second!.config.runtimeConfig, {
    portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
  });
  assert.deepEqual(second!.config.prevResult, result);
  assert.ok(!('capabilities' in second!.config));
  fake.forgetCalls();
  await assert.rejects(
    detach(dirs, { ...attaching, result }, ''),
    /network n: plugin one failed \(DEL\): one is stuck/,
  );
  assert.deepEqual(fake.order, ['two DEL', 'one DEL']);
  assert.ok(fake.calls.every(({ netns, config: { prevResult } }) => netns === '' && prevResult !== undefined));
});

test('a plugin that is missing, or prints nothing, or is killed, is named', async (t) => {
  const fake = new FakePlugins(directory(t));
  const dirs = { pluginDirs: [fake.bin] };
  const rest = { interface: 'eth0', containerId: 'c', netns: '/x', args: [], ports: [] };
  const run = (type: string): Promise<unknown> => {
    fake.network('n', { type });
    return attach(dirs, attachingOf(readConfigs({ confDir: fake.conf })[0]!, rest));
  };
  await assert.rejects(run('bridge'), /needs the CNI plugin bridge, .*install the package containernetworking-plugins/);
  await assert.rejects(run('exotic'), /needs the CNI plugin exotic, which is not in [^:]+: install it there/);
  for (const [type, script, why] of [
    ['mute', 'cat >/dev/null', /plugin mute .* prints no result: ""/],
    ['sick', 'cat >/dev/null; echo bad luck >&2; exit 3', /plugin sick failed \(ADD\): bad luck/],
    ['dies', 'kill -9 $$', /plugin dies failed \(ADD\): it ended with SIGKILL/],
  ] as const) {
    writeFileSync(join(fake.bin, type), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    await assert.rejects(run(type), why);
  }
});

test('what a network needs of the machine: its plugins, and iptables where it has rules', (t) => {
  const fake = new FakePlugins(directory(t));
  for (const name of ['bridge', 'portmap']) fake.plugin(name, {});
  const places = { confDir: fake.conf, pluginDirs: [fake.bin], stateDir: '', pinDir: '' };
  const check = (path: string, ...plugins: PluginConfig[]): void =>
    checkRequirements({ name: 'n', plugins }, places, path);
  check('/nowhere', { type: 'bridge' });
  for (const plugins of [[{ type: 'bridge', ipMasq: true }], [{ type: 'bridge' }, { type: 'portmap' }]])
    assert.throws(
      () => check('/nowhere', ...plugins),
      /network n needs the program iptables, .*install the package iptables/,
    );
  writeFileSync(join(fake.bin, 'iptables'), '', { mode: 0o755 });
  check(`/nowhere:${fake.bin}`, { type: 'bridge', ipMasq: true }, { type: 'portmap' });
  assert.throws(
    () => check('/nowhere', { type: 'bridge' }, { type: 'vrf' }, { type: 'static' }),
    /network n needs the CNI plugins vrf, static, which are not in .*containernetworking-plugins/,
  );
});

test('a container has ended when its process has, or the machine was started anew; one of other namespaces is left alone', () => {
  const own: Up = {
    version: 1,
    bootId: bootId(),
    process: { pid: process.pid, start: startOf(process.pid)! },
    namespaces: ownNamespaces(),
    pin: '/x',
    attachings: [],
  };
  assert.equal(hasEnded(own), false);
  const another = { ...own, process: { ...own.process, start: '1' } };
  assert.equal(hasEnded(another), true, 'another process has its pid');
  assert.equal(hasEnded({ ...another, namespaces: 'others' }), false, 'the pid says nothing here');
  assert.equal(hasEnded({ ...own, bootId: 'another' }), true);
});

test('one at a time does what the lock is for, and nothing is left of it', async (t) => {
  const dir = join(directory(t), 'state');
  let [inside, most] = [0, 0];
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setImmediate(resolve));
    inside--;
  };
  await Promise.all(Array.from({ length: 20 }, () => withLock(dir, work)));
  assert.equal(most, 1);
  assert.ok(!existsSync(dir), 'it was empty');
  await assert.rejects(
    withLock(dir, () => {
      writeFileSync(join(dir, 'kept'), '');
      throw new Error('the work failed');
    }),
    /the work failed/,
  );
  assert.deepEqual(readdirSync(dir), ['kept']);
});
