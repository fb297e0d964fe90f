/**
 * A compose file of three services by docker-compose, on a real dockerd on hawserd, and beside it on containerd with the same shim. Bridges, rules
 * and ports are in a network of the test's own. Needs root.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Compose, composeProgram, importComposeImage } from '../support/compose.js';
import {
  Containerd,
  daemonProgram,
  Dockerd,
  mountsBelow,
  onHawserd,
  shimDir,
  top,
  until,
  warnings,
} from '../support/daemons.js';
import { cgroupDirs, isAlive } from '../support/machine.js';
import { KNOWN, NAME_SERVER } from '../support/name-server.js';
import { HOST, NetworkHost, WORLD } from '../support/network-host.js';

const compose = composeProgram();
const skip = 'missing' in compose && compose.missing;
/** dockerd's in containerd. */
const NAMESPACE = 'moby';
const HEALTHY = ['api running healthy', 'db running healthy'];
const WEB = 'web running ';

/** What dockerd warns of by itself: a stop, and that the network is not that of the mounted /sys. */
const OF_DOCKERD = [/"ShouldRestart failed.*hasBeenManuallyStopped=true/, /\/sys\/class\/net\//];
/** A check of health that it begins while its container ends. */
const LATE_CHECK = /"Health check for container HEX error: /;

const daemons: [string, string][] = [['hawserd', join(top, 'bin/hawserd')]];
if (!onHawserd) daemons.push(['containerd', daemonProgram]);

for (const [name, program] of daemons)
  describe(`docker-compose on dockerd on ${name}`, { skip }, () => {
    let host: NetworkHost;
    let containerd: Containerd;
    let dockerd: Dockerd;
    let names: ChildProcess;
    let shop: Compose;
    let atFirst: object;
    /** What dockerd had logged when it had started. */
    let started = 0;
    /** Of the containers that were there. */
    const ids = new Set<string>();

    before(async () => {
      if ('missing' in compose) return;
      host = await NetworkHost.open();
      containerd = await new Containerd(shimDir, host.program(program)).start();
      names = await nameServer(host);
      dockerd = await new Dockerd(containerd, host).start(['--dns', WORLD]);
      started = dockerd.logText().length;
      await importComposeImage(dockerd);
      shop = new Compose(compose.dir, dockerd);
      atFirst = await traces();
    });
    after(async () => {
      await dockerd?.cleanUp();
      await containerd?.cleanUp();
      names?.kill();
      host?.close();
    });

    const lines = (text: string): string[] => text.split('\n').filter(Boolean).sort();
    const listed = (dir: string): string[] => (existsSync(dir) ? readdirSync(dir) : []);
    const docker = async (...args: string[]): Promise<string[]> => lines((await dockerd.docker(args)).stdout);
    const ctr = async (...args: string[]): Promise<string[]> =>
      lines((await containerd.ctr(['-n', NAMESPACE, ...args])).stdout);
    /** What a project could leave behind: with both daemons, in their directories and in the kernel. */
    async function traces(): Promise<object> {
      return {
        containers: await docker('ps', '-aq'),
        volumes: await docker('volume', 'ls', '-q'),
        networks: await docker('network', 'ls', '--format', '{{.Name}}'),
        records: await ctr('containers', 'ls', '-q'),
        tasks: await ctr('tasks', 'ls', '-q'),
        shims: await containerd.shimPids(),
        bundles: listed(join(containerd.state, 'io.containerd.runtime.v2.task', NAMESPACE)),
        runtime: listed(join(dockerd.dir, 'exec/runtime-runc', NAMESPACE)),
        streams: listed(join(dockerd.dir, 'exec/containerd')).filter((one) => /^[\da-f]{64}$/.test(one)),
        cgroups: [...ids].flatMap((id) => cgroupDirs(`docker/${id}`)),
        mounts: [...mountsBelow(dockerd.dir), ...mountsBelow(containerd.dir)],
        links: lines(await host.run('ip', '-o', 'link')).map((line) => line.split(/: /)[1]),
        rules: lines(await host.run('iptables-save')).filter((line) => line.startsWith('-A')),
        listeners: lines(await host.run('ss', '-Hltn')),
      };
    }
    /** containerd's own are its business. */
    const complaints = (expected: readonly RegExp[]): string[] => [
      ...warnings(dockerd.logText().slice(started)).filter((line) => !expected.some((pattern) => pattern.test(line))),
      ...(name === 'hawserd' ? warnings(containerd.logText()) : []),
    ];
    /** `SERVICE STATE HEALTH` of each container. */
    const states = async (): Promise<string[]> =>
      lines(await shop.ok('ps', '-a', '--format', '{{.Service}} {{.State}} {{.Health}}'));
    const inspect = async (container: string, format: string): Promise<string> =>
      (await dockerd.docker(['inspect', '-f', format, container])).stdout;
    const pid = async (container: string): Promise<number> => Number(await inspect(container, '{{.State.Pid}}'));
    const inside = (service: string, ...command: string[]): Promise<string> =>
      shop.ok('exec', '-T', service, ...command);
    const lives = async (): Promise<string[]> => (await inside('db', 'cat', '/data/lives')).split('\n').filter(Boolean);
    /** The addresses that the name has for a service. */
    const resolved = async (service: string, wanted: string): Promise<string[]> =>
      [...(await inside(service, 'nslookup', '-type=a', wanted)).matchAll(/^Name:.*\nAddress: ([\d.]+)$/gm)]
        .map(([, address]) => address!)
        .sort();
    const addresses = async (network: string, ...containers: string[]): Promise<string[]> =>
      docker('inspect', '-f', `{{(index .NetworkSettings.Networks "shop_${network}").IPAddress}}`, ...containers);
    const webs = (count: number): string[] => Array.from({ length: count }, (_, i) => `shop-web-${i + 1}`);
    const expectWebs = async (count: number): Promise<void> => {
      assert.deepEqual(await states(), [...HEALTHY, ...webs(count).map(() => WEB)]);
    };

    test('up -d: each waits until what it depends on is healthy', async () => {
      await shop.ok('up', '-d');
      await expectWebs(3);
      assert.deepEqual(await docker('ps', '--filter', 'health=healthy', '--format', '{{.Names}}'), [
        'shop-api-1',
        'shop-db-1',
      ]);
      assert.equal(await inside('api', 'cat', '/www/lives'), (await lives()).join('\n'), 'read when it began');
      for (const id of await docker('ps', '-aq', '--no-trunc')) ids.add(id);
      assert.equal(ids.size, 5);
    });

    test("names: a service's containers, an alias, those of the world, and none of a network that it is not in", async () => {
      assert.deepEqual(await resolved('api', 'web'), await addresses('front', ...webs(3)));
      assert.deepEqual(await resolved('api', 'store'), await addresses('back', 'shop-db-1'));
      assert.deepEqual(await resolved('web', 'api'), await addresses('front', 'shop-api-1'));
      assert.equal(await inside('web', 'wget', '-q', '-O', '-', 'http://api/lives'), (await lives())[0]);
      const unknown = await shop.run('exec', '-T', 'web', 'nslookup', '-type=a', 'db');
      assert.deepEqual([unknown.exitCode, unknown.stdout.includes("can't find db")], [1, true], unknown.stdout);
      assert.deepEqual(await resolved('web', KNOWN.name), [KNOWN.address], "by the host's server of names");
    });

    test('ports: each of three is answered by its container, for the host and from outside', async () => {
      const answers = [];
      for (const [i, web] of webs(3).entries()) {
        const port = /:(\d+)$/.exec(await shop.ok('port', '--index', String(i + 1), 'web', '80'))?.[1];
        const wget = ['/bin/busybox', 'wget', '-q', '-O', '-'];
        const answer = await host.run(...wget, `http://127.0.0.1:${port}/`);
        assert.equal(answer, await inspect(web, '{{.Config.Hostname}}'));
        assert.equal(await host.runOutside(...wget, `http://${HOST}:${port}/`), answer);
        answers.push(answer);
      }
      assert.equal(new Set(answers).size, 3);
    });

    test('scale: up and down, known by name at once, and the others go on', async () => {
      const [api, db] = [await pid('shop-api-1'), await pid('shop-db-1')];
      await shop.ok('up', '-d', '--scale', 'web=5');
      await expectWebs(5);
      for (const id of await docker('ps', '-aq', '--no-trunc')) ids.add(id);
      assert.deepEqual(await resolved('api', 'web'), await addresses('front', ...webs(5)));
      await shop.ok('scale', 'web=1');
      await expectWebs(1);
      assert.equal((await resolved('api', 'web')).length, 1);
      await shop.ok('up', '-d');
      await expectWebs(3);
      for (const id of await docker('ps', '-aq', '--no-trunc')) ids.add(id);
      assert.deepEqual([await pid('shop-api-1'), await pid('shop-db-1')], [api, db]);
    });

    test('health: lost and found again', async () => {
      const health = (): Promise<string> => inspect('shop-api-1', '{{.State.Health.Status}}');
      await inside('api', 'mv', '/www/lives', '/www/gone');
      await until('it to be unhealthy', async () => (await health()) === 'unhealthy');
      assert.match(await inspect('shop-api-1', '{{json .State.Health.Log}}'), /"ExitCode":1,"Output":"wget: .*404/);
      await inside('api', 'mv', '/www/gone', '/www/lives');
      await until('it to be healthy', async () => (await health()) === 'healthy');
    });

    test('logs and exec: output of all, exit statuses, users', async () => {
      assert.deepEqual(lines(await shop.ok('logs', '--no-log-prefix')), [
        'has read the store',
        ...webs(3).map(() => 'serving'),
      ]);
      assert.equal(await shop.ok('logs', '--no-log-prefix', '--tail', '1', 'api'), 'has read the store');
      assert.equal((await shop.run('exec', '-T', 'web', 'sh', '-c', 'exit 7')).exitCode, 7);
      assert.equal(await shop.ok('exec', '-T', '-u', 'nobody', 'web', 'id', '-u'), '65534');
    });

    test('neither daemon has warned of anything', () => {
      assert.deepEqual(complaints(OF_DOCKERD), []);
    });

    test('restart, stop, start', async () => {
      const [before] = await lives();
      await shop.ok('restart', 'db');
      await until('it to be healthy', async () => (await states()).includes(HEALTHY[1]!));
      assert.deepEqual(await lives(), [before, before], 'the same container again');
      await shop.ok('stop');
      assert.deepEqual(
        lines(await shop.ok('ps', '-a', '--format', '{{.Service}} {{.State}} {{.ExitCode}}')),
        ['api exited 143', 'db exited 143', ...webs(3).map(() => 'web exited 143')],
        'by SIGTERM, which `init: true` passes on',
      );
      assert.deepEqual(await containerd.shimPids(), []);
      await shop.ok('start');
      await expectWebs(3);
      assert.equal((await lives()).length, 3);
    });

    test('down keeps the volume for the next up', async () => {
      const before = await lives();
      await shop.ok('down');
      assert.deepEqual(await states(), []);
      assert.deepEqual(await docker('volume', 'ls', '-q'), ['shop_data']);
      await shop.ok('up', '-d', '--wait');
      await expectWebs(3);
      for (const id of await docker('ps', '-aq', '--no-trunc')) ids.add(id);
      assert.deepEqual(await lives(), [...before, await inspect('shop-db-1', '{{.Config.Hostname}}')]);
    });

    test('nor when they end', () => {
      assert.deepEqual(complaints([...OF_DOCKERD, LATE_CHECK]), []);
    });

    test(`${name} is killed and comes back: what ended meanwhile is started again, checks of health and names go on`, async () => {
      const [db, web] = [await pid('shop-db-1'), await pid('shop-web-2')];
      await containerd.stop('SIGKILL');
      process.kill(web, 'SIGKILL');
      await until('it to end', () => !isAlive(web));
      await containerd.start();
      const since = Date.now();
      await until('it to be started again', async () => ![0, web].includes(await pid('shop-web-2')));
      await until('the check of another second', async () =>
        (
          JSON.parse(await inspect('shop-db-1', '{{json .State.Health.Log}}')) as { Start: string; ExitCode: number }[]
        ).some(({ Start, ExitCode }) => Date.parse(Start) > since && ExitCode === 0),
      );
      assert.equal(await pid('shop-db-1'), db);
      await until('its name', async () => (await resolved('api', 'web')).length === 3);
      await shop.ok('up', '-d', '--scale', 'web=4');
      await expectWebs(4);
      for (const id of await docker('ps', '-aq', '--no-trunc')) ids.add(id);
    });

    test('down -v: nothing is left', async () => {
      await shop.ok('down', '-v');
      await until('all to be as before', async () => JSON.stringify(await traces()) === JSON.stringify(atFirst)).catch(
        async () => assert.deepEqual(await traces(), atFirst),
      );
    });
  });

/** One that the host asks, outside. */
async function nameServer({ prefixOutside: [file = '', ...args] }: NetworkHost): Promise<ChildProcess> {
  const server = spawn(file, [...args, process.execPath, '--import', 'tsx', NAME_SERVER, WORLD], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(server.stdout, 'data');
  return server;
}
