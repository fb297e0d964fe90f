/**
 * `make soak-restart N=100`: so many containers under dockerd end while containerd goes away and comes back, killed or
 * stopped in turns: just before, while it is away, and just after. Every one must be seen to have ended, with its status, and
 * every `docker exec` must return. Fails when one isn't. How many dockerd saw to end twice is told, too: those whose exit it had
 * heard just before, but could not have deleted any more, so that it is told of them again.
 *
 * HAWSER_SOAK_SHIM=go tries the Go shim instead. The daemons are the machine's, or those that HAWSER_TEST_CONTAINERD,
 * HAWSER_TEST_CTR, HAWSER_TEST_DOCKERD, HAWSER_TEST_DOCKER and HAWSER_TEST_STOCK name (see test/support/daemons.ts).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Containerd, Dockerd, shimDir, stockDir, until, warnings } from '../support/daemons.js';

const TOTAL = Number(process.argv[2] ?? 100);
const EACH_ROUND = 10;
const AT_ONCE = 3;
/** How long containerd stays away, in turns: as an administrator restarts it, and as systemd does what has crashed. */
const OUTAGES_MS = [0, 2_000, 0, 6_000];
/** Those that end afterwards do so within this time, in which a dockerd finds its way back. */
const AFTERWARDS_MS = 4_000;
/** A dockerd that has not heard of an exit by then never will. */
const PATIENCE_MS = 60_000;
const IMAGE = 'soak';
const WHENS = ['before', 'away', 'after'] as const;

interface Victim {
  name: string;
  pid: number;
  /** When it ends, and how containerd does. */
  kind: string;
  when: (typeof WHENS)[number];
}

const containerd = new Containerd(process.env.HAWSER_SOAK_SHIM === 'go' ? stockDir : shimDir);
const dockerd = new Dockerd(containerd);
const victims: Victim[] = [];
const execs = new Map<string, { kind: string; isOver: boolean }>();

/** What the daemons have logged of a container. */
async function logged(name: string): Promise<string[]> {
  const [id] = await lines('inspect', '-f', '{{.Id}}', name);
  return [containerd, dockerd].flatMap((daemon) =>
    daemon
      .logText()
      .split('\n')
      .filter((line) => line.includes(id!))
      .slice(-30)
      .map((line) => `${daemon.name}: ${line}`),
  );
}

/** What has one line for each thing. */
async function lines(...args: string[]): Promise<string[]> {
  return (await dockerd.docker(args)).stdout.split('\n').filter(Boolean);
}

async function run(name: string): Promise<number> {
  // dockerd answers before it has found its way back to containerd.
  await until(
    `${name} to run`,
    async () => {
      if (
        (
          await dockerd.docker(['run', '-d', '--network=none', '--name', name, IMAGE, 'sleep', '100000'], {
            reject: false,
          })
        ).exitCode === 0
      )
        return true;
      await dockerd.docker(['rm', '-f', name], { reject: false });
      return false;
    },
    120_000,
  );
  return Number((await dockerd.docker(['inspect', '-f', '{{.State.Pid}}', name])).stdout);
}

/** An exec that ends as its container's others do; with its process' id. */
async function exec(container: string, kind: string): Promise<number> {
  const name = `${container} ${kind}`;
  const seconds = 200_000 + execs.size;
  execs.set(name, { kind, isOver: false });
  void dockerd
    .docker(['exec', container, 'sleep', String(seconds)], { reject: false, timeout: 3_600_000 })
    .then(() => (execs.get(name)!.isOver = true));
  const line = await until('the exec to run', async () =>
    (await lines('top', container, '-eo', 'pid,args')).find((one) => one.endsWith(`sleep ${seconds}`)),
  );
  return Number(line.trim().split(/\s+/)[0]);
}

function end(pids: readonly number[]): void {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
}

async function round(number: number): Promise<void> {
  const signal = number % 2 === 0 ? 'SIGKILL' : 'SIGTERM';
  const outage = OUTAGES_MS[Math.floor(number / 2) % OUTAGES_MS.length]!;
  const todo = Array.from({ length: Math.min(EACH_ROUND, TOTAL - number * EACH_ROUND) }, (_, n) => n);
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let n = todo.shift(); n !== undefined; n = todo.shift()) {
        const when = WHENS[n % WHENS.length]!;
        const name = `c${number}-${n}`;
        victims.push({ name, pid: await run(name), when, kind: `${when}, ${signal}, away ${outage} ms` });
      }
    }),
  );
  const host = `host${number}`;
  await run(host);
  const during = await exec(host, `exec, away, ${signal}`);
  const afterwards = await exec(host, `exec, after, ${signal}`);
  const pids = (when: string): number[] =>
    victims.filter((one) => one.when === when && one.name.startsWith(`c${number}-`)).map(({ pid }) => pid);

  end(pids('before'));
  await containerd.stop(signal);
  await delay(outage / 2);
  end([...pids('away'), during]);
  await delay(outage / 2);
  await containerd.start();
  for (const pid of [...pids('after'), afterwards]) {
    await delay((Math.random() * AFTERWARDS_MS) / 3);
    end([pid]);
  }
}

function tell(what: string, names: readonly { kind: string }[]): void {
  console.log(`  ${what}: ${names.length}`);
  for (const kind of new Set(names.map((one) => one.kind)))
    console.log(`    ${names.filter((one) => one.kind === kind).length} of those that ended ${kind}`);
}

try {
  await containerd.start();
  await dockerd.start(['--debug']);
  await dockerd.importImage(containerd.rootfs, IMAGE);
  const since = Math.floor(Date.now() / 1000) - 1;
  for (let number = 0; number * EACH_ROUND < TOTAL; number++) {
    await round(number);
    process.stderr.write(`${victims.length} have ended\n`);
  }
  const up = async (): Promise<Victim[]> => {
    const running = new Set(await lines('ps', '--format', '{{.Names}}'));
    return victims.filter(({ name }) => running.has(name));
  };
  const hanging = (): { kind: string }[] => [...execs.values()].filter(({ isOver }) => !isOver);
  await until(
    'all to be seen to have ended',
    async () => (await up()).length === 0 && hanging().length === 0,
    PATIENCE_MS,
  ).catch(() => undefined);

  const stillUp = await up();
  const ended = victims.filter((one) => !stillUp.includes(one));
  const statuses = new Map(
    (await lines('ps', '-a', '--filter', 'status=exited', '--format', '{{.Names}} {{.Status}}')).map((line) => [
      line.split(' ')[0],
      line,
    ]),
  );
  const wrong = ended.filter(({ name }) => !statuses.get(name)?.includes('Exited (137)'));
  const deaths = await lines(
    'events',
    '--since',
    String(since),
    '--until',
    String(Math.ceil(Date.now() / 1000)),
    '--filter',
    'event=die',
    '--format',
    '{{.Actor.Attributes.name}}',
  );
  const twice = victims.filter(({ name }) => deaths.filter((one) => one === name).length > 1);
  console.log(
    `${(await dockerd.docker(['version', '-f', 'dockerd {{.Server.Version}}'])).stdout}, ${process.env.HAWSER_SOAK_SHIM === 'go' ? 'the Go shim' : 'hawser'}: ${victims.length} containers, ${execs.size} execs`,
  );
  tell('containers still Up', stillUp);
  for (const { name } of stillUp.slice(0, 3))
    for (const line of await logged(name)) console.log(`      ${line.slice(0, 400)}`);
  tell('execs that hang', hanging());
  tell('ended with another status', wrong);
  tell('seen to end twice', twice);
  for (const { log, name } of [
    { log: containerd.logText(), name: 'containerd' },
    { log: dockerd.logText(), name: 'dockerd' },
  ]) {
    console.log(`  ${name}'s warnings:`);
    for (const line of warnings(log)) console.log(`    ${line.slice(0, 200)}`);
  }
  process.exitCode = stillUp.length + hanging().length + wrong.length === 0 ? 0 : 1;
} finally {
  await dockerd.cleanUp();
  await containerd.cleanUp();
}
