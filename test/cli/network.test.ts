/**
 * Networks by the real plugins, in a network that is the tests' own host: on hawserd, and on containerd with either shim.
 * Begins first: it takes two minutes and more.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { containerdProgram, shimDir, stockDir, top, until } from '../support/daemons.js';
import { mountsBelow, quietly } from '../support/machine.js';
import { HOST, NetworkHost, WORLD } from '../support/network-host.js';
import { Lab } from './lab.js';

const PINS = '/run/hawser/netns';
/** More of busybox than other tests need. */
const APPLETS = ['ip', 'ping', 'wget', 'httpd', 'timeout'];
/** Its own limit of time ends Debian's wget by a segmentation fault. */
const WGET = ['timeout', '5', 'wget', '-q', '-O', '-'];

const daemons = [
  ['hawserd', join(top, 'bin/hawserd'), shimDir],
  ["containerd with Hawser's shim", containerdProgram, shimDir],
  ['containerd with its own shim', containerdProgram, stockDir],
] as const;

for (const [name, program, shims] of daemons)
  describe(name, () => {
    let host: NetworkHost;
    let lab: Lab;

    before(async () => {
      host = await NetworkHost.open();
      lab = await Lab.openInside(host, program, shims);
      for (const applet of APPLETS) symlinkSync('busybox', join(lab.rootfs, 'bin', applet));
    });
    after(async () => {
      await lab.close();
      host.close();
    });

    const state = (): string => join(lab.daemon.dir, 'cli/network');
    const scope = (): string =>
      createHash('sha256').update(`${lab.daemon.socket}\0${lab.daemon.namespace}`).digest('hex').slice(0, 8);
    const pins = (): string[] => (existsSync(PINS) ? readdirSync(PINS) : []).filter((one) => one.startsWith(scope()));
    /** Addresses that are given, of all networks. */
    const leases = (): string[] => {
      const dir = join(state(), 'addresses');
      return (existsSync(dir) ? readdirSync(dir) : [])
        .flatMap((network) => readdirSync(join(dir, network)))
        .filter((file) => /^[\da-f]+[.:]/.test(file));
    };
    const directories = (): string[] => {
      const dir = join(state(), 'containers', scope());
      return existsSync(dir) ? readdirSync(dir) : [];
    };
    /** What is there of containers in networks. */
    const traces = async (): Promise<unknown> => ({
      host: await host.traces(scope()),
      leases: leases(),
      pins: pins(),
      mounts: mountsBelow(PINS).filter((one) => one.includes(scope())),
    });
    const NONE = { host: [], leases: [], pins: [], mounts: [] };
    const address = (of: string): Promise<string> => lab.ok(['inspect', '-f', '{{.NetworkSettings.IPAddress}}', of]);
    const serve = (text: string): string =>
      `mkdir -p /tmp/${text} && echo ${text} >/tmp/${text}/index.html && exec httpd -f -h /tmp/${text}`;
    const fetch = (url: string): Promise<string> => host.run('/bin/busybox', ...WGET, url);

    test('run: an address, a way out, names, and the files of /etc; nothing is left', async () => {
      const script = `ip -4 -o addr show eth0; ip route; cat /etc/hosts /etc/hostname; ping -c 1 -W 5 10.67.0.1; ping -c 1 localhost; ping -c 1 -W 5 ${WORLD}`;
      const { stdout, stderr, exitCode } = await lab.run(
        ['--rm', '-h', 'web', '--add-host', 'out:host-gateway'],
        ['sh', '-c', script],
      );
      assert.equal(exitCode, 0, stderr);
      assert.match(stdout, /inet 10\.67\.0\.\d+\/24 .* eth0/);
      assert.match(stdout, /^default via 10\.67\.0\.1 dev eth0/m);
      assert.match(stdout, /^127\.0\.0\.1\tlocalhost$/m);
      assert.match(stdout, /^10\.67\.0\.\d+\tweb /m);
      assert.match(stdout, /^10\.67\.0\.1\tout$/m);
      assert.match(stdout, /^web$/m);
      assert.equal(stdout.match(/1 packets received/g)?.length, 3, 'its host, itself, and the world');
      const dns = await lab.run(
        ['--rm', '--dns', '9.9.9.9', '--dns-search', 'a.test', '--dns-option', 'ndots:2'],
        ['cat', '/etc/resolv.conf'],
      );
      assert.equal(dns.stdout, 'nameserver 9.9.9.9\nsearch a.test\noptions ndots:2');
      assert.deepEqual(await traces(), NONE);
      assert.deepEqual(directories(), []);
    });

    test('none, host and container:ID; localhost is known in each', async () => {
      const look = 'ip -4 -o addr; cat /etc/hosts; hostname';
      const none = await lab.run(
        ['--rm', '--net', 'none', '-h', 'alone'],
        ['sh', '-c', `${look}; ping -c 1 localhost`],
      );
      assert.equal(none.exitCode, 0, none.stderr);
      assert.ok(!none.stdout.includes('eth0') && none.stdout.includes('127.0.0.1\tlocalhost'));
      assert.match(none.stdout, /^127\.0\.1\.1\talone/m);
      const asHost = await lab.run(['--rm', '--net', 'host', '--add-host', 'x:10.0.0.9'], ['sh', '-c', look]);
      assert.match(asHost.stdout, /hawser0/);
      assert.match(asHost.stdout, /^10\.0\.0\.9\tx$/m);
      for (const network of ['bridge', 'none']) {
        await lab.start('first', 'sleep 1000', ['--net', network]);
        const own = await lab.ok(['exec', 'first', 'sh', '-c', look]);
        const shared = await lab.run(['--rm', '--net', 'container:fir'], ['sh', '-c', look]);
        assert.equal(shared.stdout, own, network);
        // It has another namespace when it has been started again.
        await lab.ok([
          'create',
          '--name',
          'second',
          '--net',
          'container:first',
          '--rootfs',
          lab.rootfs,
          'sh',
          '-c',
          look,
        ]);
        await lab.ok(['restart', '-t', '0', 'first']);
        assert.equal(
          await lab.ok(['start', '-a', 'second']),
          await lab.ok(['exec', 'first', 'sh', '-c', look]),
          network,
        );
        await lab.ok(['rm', '-f', 'first']);
        const alone = await lab.hawser(['start', 'second']);
        assert.match(alone.stderr, /container first, whose network is to be shared, is not there/);
        await lab.ok(['rm', '-f', 'second']);
      }
      for (const [flags, why] of [
        [['--net', 'none', '-p', '80'], /published ports cannot be had with network none/],
        [['--net', 'host', '--ip', '10.67.0.9'], /an address cannot be had with network host/],
        [['--net', 'none', '--net', 'bridge'], /network none cannot be had besides others/],
        [['--net', 'container:nobody'], /container nobody does not exist/],
        [['--net', 'nowhere'], /network nowhere is not there: .* has bridge; `hawser network create`/],
        [['--add-host', 'x'], /extra host "x": it is NAME:ADDRESS/],
      ] as const) {
        const { stderr, exitCode } = await lab.run(['--rm', ...flags], ['true']);
        assert.match(stderr, why);
        assert.notEqual(exitCode, 0);
      }
      assert.deepEqual(await traces(), NONE);
    });

    test("another one's volumes, processes and network; its own file at /etc/hosts stays", async () => {
      const hosts = join(lab.daemon.dir, 'hosts');
      writeFileSync(hosts, '10.9.9.9\tmine\n');
      await lab.start('owner', 'echo kept >/kept/file; sleep 1000', ['-v', `${hosts}:/etc/hosts`, '-v', 'kept:/kept']);
      const look = 'cat /etc/hosts /kept/file; hostname; ip -4 -o addr show eth0; cat /proc/1/cmdline';
      await until('the file', async () => (await lab.hawser(['exec', 'owner', 'cat', '/kept/file'])).stdout === 'kept');
      const own = await lab.ok(['exec', 'owner', 'sh', '-c', look]);
      assert.match(own, /^10\.9\.9\.9\tmine\nkept\nowner\n.* inet 10\.67\./);
      const apart = await lab.run(['--rm', '-h', 'apart', '--volumes-from', 'owner'], ['sh', '-c', look]);
      assert.match(apart.stdout, /^10\.9\.9\.9\tmine\nkept\napart\n.* inet 10\.67\./, apart.stderr);
      assert.ok(!apart.stdout.includes('sleep'));
      const shared = ['--volumes-from', 'owner', '--pid', 'container:owner', '--network', 'container:owner'];
      const together = await lab.run(['--rm', ...shared], ['sh', '-c', look]);
      assert.equal(together.stdout, own, together.stderr);
      await lab.ok(['rm', '-f', 'owner']);
      await lab.ok(['volume', 'rm', 'kept']);
      assert.equal(readFileSync(hosts, 'utf8'), '10.9.9.9\tmine\n');
      assert.deepEqual(await traces(), NONE);
      assert.deepEqual(directories(), []);
    });

    test('--restart: what the daemon starts again has its network and its ports', { timeout: 120_000 }, async () => {
      const script = `if mkdir /runs/first 2>/dev/null; then exit 1; fi; ${serve('again')}`;
      await lab.start('again', script, ['--restart', 'always', '-v', 'runs:/runs', '-p', '18082:80']);
      await until('an answer', async () => (await fetch('http://127.0.0.1:18082/')) === 'again', 60_000);
      await lab.ok(['rm', '-f', 'again']);
      await lab.ok(['volume', 'rm', 'runs']);
      assert.deepEqual(await traces(), NONE);
    });

    test('-p: the host has the port while the container runs; port, ps and inspect tell it; nobody else gets it', async () => {
      await lab.start('web', serve('hello'), ['-p', '18080:80', '-p', '127.0.0.1::81/udp']);
      await until('an answer', async () => (await fetch('http://127.0.0.1:18080/')) === 'hello');
      assert.equal(await fetch('http://10.67.0.1:18080/'), 'hello');
      const outside = await host.runOutside('/bin/busybox', ...WGET, `http://${HOST}:18080/`);
      assert.equal(outside, 'hello', 'from another machine');
      const [tcp, udp = ''] = (await lab.ok(['port', 'web'])).split('\n');
      assert.equal(tcp, '80/tcp -> 0.0.0.0:18080');
      assert.match(udp, /^81\/udp -> 127\.0\.0\.1:\d+$/);
      assert.equal(await lab.ok(['port', 'web', '80']), '0.0.0.0:18080');
      await lab.start('exposed', 'sleep 1000', [
        '-P',
        '--expose',
        '82',
        '--expose',
        '83/udp',
        '--domainname',
        'acme.test',
        '-h',
        'box',
      ]);
      assert.match(await lab.ok(['port', 'exposed']), /^82\/tcp -> 0\.0\.0\.0:\d+\n83\/udp -> 0\.0\.0\.0:\d+$/);
      assert.match(await lab.ok(['exec', 'exposed', 'cat', '/etc/hosts']), /\tbox\.acme\.test box /);
      await lab.ok(['rm', '-f', 'exposed']);
      assert.equal(
        (await lab.hawser(['port', 'web', '82'])).stderr,
        'hawser: container web: its port 82/tcp is not published',
      );
      assert.match(
        await lab.ok(['ps', '--format', '{{.Ports}}']),
        /^0\.0\.0\.0:18080->80\/tcp, 127\.0\.0\.1:\d+->81\/udp$/,
      );
      assert.match(await lab.ok(['ps']), /PORTS.*\n.*0\.0\.0\.0:18080->80\/tcp/);
      const settings = JSON.parse(await lab.ok(['inspect', '-f', '{{json .NetworkSettings}}', 'web'])) as {
        Ports: Record<string, unknown>;
        Networks: Record<string, { Gateway: string; MacAddress: string }>;
      };
      assert.deepEqual(settings.Ports['80/tcp'], [{ HostIp: '0.0.0.0', HostPort: '18080' }]);
      assert.equal(settings.Networks.bridge!.Gateway, '10.67.0.1');
      assert.match(settings.Networks.bridge!.MacAddress, /^[\da-f:]{17}$/);
      const taken = await lab.run(['--rm', '-p', '18080:1'], ['true']);
      assert.match(taken.stderr, /port 18080\/tcp of the host's leads to container web already/);
      assert.equal(taken.exitCode, 125);
      const other = await lab.run(['--rm', '-p', '18080-18081:1'], ['true']);
      assert.equal(other.exitCode, 0, 'of a range the next one is taken');
      await lab.ok(['stop', '-t', '0', 'web']);
      assert.equal(await fetch('http://127.0.0.1:18080/'), '');
      assert.deepEqual(await traces(), NONE, 'it exists, and holds nothing');
      assert.equal(await lab.ok(['ps', '-a', '--format', '{{.Ports}}']), '');
      await lab.ok(['start', 'web']);
      await until('an answer', async () => (await fetch('http://127.0.0.1:18080/')) === 'hello');
      await lab.ok(['restart', '-t', '0', 'web']);
      await until('an answer', async () => (await fetch('http://127.0.0.1:18080/')) === 'hello');
      await lab.ok(['rm', '-f', 'web']);
      assert.equal(await fetch('http://127.0.0.1:18080/'), '');
      assert.deepEqual(await traces(), NONE);
    });

    test('a port on which a program of the host listens is refused', async () => {
      await lab.start('listens', 'exec httpd -f -p 18090', ['--net', 'host']);
      await until('it to listen', async () => (await host.run('cat', '/proc/net/tcp6')).includes(':46AA'));
      const { stderr, exitCode } = await lab.run(['--rm', '-p', '18090:80'], ['true']);
      assert.match(stderr, /a program of the host's listens on port 18090\/tcp/);
      assert.equal(exitCode, 125);
      await lab.ok(['rm', '-f', 'listens']);
      assert.deepEqual(await traces(), NONE);
    });

    test('containers of a network find each other by name, while they run; those of others do not', async () => {
      await lab.ok(['network', 'create', 'apart']);
      await lab.start('db', serve('data'), ['--network-alias', 'store']);
      await lab.start('app', 'sleep 1000');
      await lab.start('far', 'sleep 1000', ['--net', 'apart']);
      const get = (from: string, url: string): ReturnType<Lab['hawser']> => lab.hawser(['exec', from, ...WGET, url]);
      for (const url of ['http://db/', 'http://db.bridge/', 'http://store/'])
        await until(url, async () => (await get('app', url)).stdout === 'data');
      assert.ok(!(await lab.ok(['exec', 'far', 'cat', '/etc/hosts'])).includes('db'));
      const byAddress = await get('far', `http://${await address('db')}/`);
      assert.notEqual(byAddress.stdout, 'data', 'bridges are kept apart');
      await lab.start('both', 'sleep 1000', ['--net', 'apart', '--net', 'bridge']);
      assert.match(await lab.ok(['exec', 'both', 'cat', '/etc/hosts']), /\tdb db\.bridge.*\n(.*\n)*.*\tfar far\.apart/);
      assert.equal((await get('both', 'http://db/')).stdout, 'data');
      await lab.ok(['stop', '-t', '0', 'db']);
      assert.ok(!(await lab.ok(['exec', 'app', 'cat', '/etc/hosts'])).includes('db'));
      const used = await lab.hawser(['network', 'rm', 'apart']);
      assert.match(used.stderr, /network apart is used by container \S+ of namespace \S+, container \S+ of/);
      await lab.removeAll();
      await lab.ok(['network', 'rm', 'apart']);
      assert.deepEqual(await traces(), NONE);
      assert.ok(!(await host.run('ip', '-br', 'link')).includes('br-'), 'its bridge is gone');
    });

    test('network: ls, create, inspect, rm, prune; others’ configurations are used, and left', async () => {
      await lab.ok([
        'network',
        'create',
        '--subnet',
        '10.91.0.0/16',
        '--gateway',
        '10.91.0.7',
        '--ip-range',
        '10.91.4.0/24',
        '--label',
        'tier=web',
        'wide',
      ]);
      await lab.ok(['network', 'create', '--ipv6', '--internal', '--opt', 'mtu=1400', 'inner']);
      writeFileSync(
        join(lab.daemon.dir, 'cni/10-theirs.conflist'),
        JSON.stringify({
          cniVersion: '1.0.0',
          name: 'theirs',
          plugins: [
            { type: 'ptp', ipam: { type: 'host-local', subnet: '10.92.0.0/24', dataDir: join(state(), 'addresses') } },
          ],
        }),
      );
      assert.deepEqual((await lab.ok(['network', 'ls', '--format', '{{.Name}} {{.Driver}}'])).split('\n').sort(), [
        'bridge bridge',
        'host host',
        'inner bridge',
        'none null',
        'theirs ptp',
        'wide bridge',
      ]);
      assert.equal(await lab.ok(['network', 'ls', '--filter', 'label=tier=web', '--format', '{{.Name}}']), 'wide');
      const run = async (...flags: string[]): Promise<string> => {
        const { stdout, stderr, exitCode } = await lab.run(
          ['--rm', ...flags],
          ['sh', '-c', 'ip -o addr show eth0; ip route'],
        );
        assert.equal(exitCode, 0, stderr);
        return stdout;
      };
      const wide = await run('--net', 'wide', '--mac-address', '02:00:00:00:00:07');
      assert.match(wide, /10\.91\.4\.\d+\/16/);
      assert.match(wide, /default via 10\.91\.0\.7/);
      assert.match(await run('--net', 'wide', '--ip', '10.91.4.77'), /10\.91\.4\.77\/16/);
      const inner = await run('--net', 'inner');
      assert.match(inner, /fd[\da-f:]+\/64/);
      assert.ok(!inner.includes('default'), 'nothing leads out');
      assert.match(await run('--net', 'theirs'), /10\.92\.0\.\d+/);
      await lab.start('member', 'sleep 1000', ['--net', 'wide', '--mac-address', '02:00:00:00:00:07']);
      const [inspected] = JSON.parse(await lab.ok(['network', 'inspect', 'wide'])) as [
        {
          Id: string;
          IPAM: { Config: unknown };
          Containers: Record<string, { IPv4Address: string; MacAddress: string }>;
        },
      ];
      assert.deepEqual(inspected.IPAM.Config, [{ Subnet: '10.91.0.0/16', Gateway: '10.91.0.7' }]);
      assert.equal(inspected.Containers.member!.IPv4Address, `${await address('member')}/16`);
      assert.equal(inspected.Containers.member!.MacAddress, '02:00:00:00:00:07');
      assert.equal(await lab.ok(['network', 'inspect', '-f', '{{.Name}}', inspected.Id.slice(0, 12)]), 'wide');
      for (const [args, why] of [
        [['create', 'wide'], /network wide is there already/],
        [['create', '--subnet', '10.91.3.0/24', 'more'], /overlaps with 10\.91\.0\.0\/16 of network wide/],
        [['create', 'host'], /this name is for a network that is no configuration/],
        [['create', '-d', 'overlay', 'x'], /--driver overlay: there are bridge, macvlan, ipvlan/],
        [['rm', 'theirs'], /network theirs was not made by Hawser: remove .*10-theirs\.conflist yourself/],
        [['rm', 'nothing'], /network nothing is not there/],
        [['prune'], /say -f when it is meant/],
      ] as const) {
        const { stderr, exitCode } = await lab.hawser(['network', ...args]);
        assert.match(stderr, why);
        assert.notEqual(exitCode, 0);
      }
      assert.equal(await lab.ok(['network', 'rm', '-f', 'nothing']), '');
      for (const filter of ['until=1h', 'label=tier=db'])
        assert.equal(await lab.ok(['network', 'prune', '-f', '--filter', filter]), '', filter);
      assert.equal(await lab.ok(['network', 'prune', '-f', '--filter', 'label!=tier']), 'inner');
      await lab.ok(['rm', '-f', 'member']);
      assert.equal(await lab.ok(['network', 'prune', '-f']), 'wide');
      assert.ok(existsSync(join(lab.daemon.dir, 'cni/10-theirs.conflist')));
      rmSync(join(lab.daemon.dir, 'cni/10-theirs.conflist'));
      assert.deepEqual(await traces(), NONE);
    });

    test('many at once have an address each, and leave nothing', async () => {
      const all = await Promise.all(
        Array.from({ length: 6 }, (_, i) =>
          lab.run(['--rm', '-p', `1820${i}:80`], ['ip', '-4', '-o', 'addr', 'show', 'eth0']),
        ),
      );
      assert.deepEqual(
        all.map(({ exitCode, stderr }) => [exitCode, stderr]),
        all.map(() => [0, '']),
      );
      assert.equal(new Set(all.map(({ stdout }) => /inet (\S+)/.exec(stdout)?.[1])).size, all.length);
      assert.deepEqual(await traces(), NONE);
    });

    test('one that has ended by itself holds nothing that the next one needs', async () => {
      await lab.ok(['run', '-d', '--name', 'brief', '-p', '18250:80', '--rootfs', lab.rootfs, 'true']);
      await until('its end', async () => (await lab.ok(['inspect', '-f', '{{.State.Status}}', 'brief'])) === 'exited');
      const { exitCode, stderr } = await lab.run(['--rm', '-p', '18250:80'], ['true']);
      assert.equal(exitCode, 0, stderr);
      assert.deepEqual(await traces(), NONE, 'of neither');
      await lab.ok(['rm', 'brief']);
      assert.deepEqual(directories(), []);
    });

    test('after SIGKILL of the container, its shim and the daemon nothing is left, and it starts again', async () => {
      await lab.start('gone', 'sleep 1000', ['-p', '18300:80']);
      const pid = Number(await lab.ok(['inspect', '-f', '{{.State.Pid}}', 'gone']));
      for (const one of [lab.daemon.pid, ...(await lab.daemon.shimPids()), pid])
        quietly(() => process.kill(one, 'SIGKILL'));
      await lab.daemon.stop('SIGKILL');
      assert.notDeepEqual(await traces(), NONE);
      await lab.daemon.start();
      await until('the daemon to clean up', async () => JSON.stringify(await traces()) === JSON.stringify(NONE));
      await lab.ok(['start', 'gone']);
      assert.match(await address('gone'), /^10\.67\./);
      await lab.ok(['rm', '-f', 'gone']);
      assert.deepEqual(await traces(), NONE);
    });

    test('after a restart of the machine the next one to start gives back what is still held', async () => {
      await lab.start('old', 'sleep 1000', ['-p', '18400:80']);
      const up = join(state(), 'containers', scope(), 'old/up.json');
      const text = readFileSync(up, 'utf8');
      const lost = leases();
      await lab.ok(['stop', '-t', '0', 'old']);
      // What would have stayed on the disk, had nobody been there to see its end.
      writeFileSync(up, text.replace(/"bootId": "[^"]+"/, '"bootId": "of-an-earlier-start"'));
      const file = join(state(), 'addresses/bridge', lost[0]!);
      writeFileSync(file, `${scope()}-old\r\neth0`);
      const { stderr, exitCode } = await lab.run(['--rm', '-p', '18400:80'], ['true']);
      assert.equal(exitCode, 0, stderr);
      assert.deepEqual(await traces(), NONE);
      assert.ok(!existsSync(up));
      await lab.ok(['start', 'old']);
      await lab.ok(['rm', '-f', 'old']);
    });

    test('what another client has removed leaves no file behind', async () => {
      await lab.ok(['create', '--name', 'theirs', '--rootfs', lab.rootfs, 'true']);
      assert.deepEqual(directories(), ['theirs']);
      await lab.daemon.ctr(['containers', 'rm', 'theirs']);
      await lab.ok(['network', 'ls']);
      assert.deepEqual(directories(), []);
    });
  });
