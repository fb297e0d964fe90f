/** What `logs` shows, beside what docker's shows of a container that prints the same. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Dockerd, makeImage } from '../support/daemons.js';
import { Lab } from './lab.js';

let lab: Lab;
let dockerd: Dockerd;

before(async () => {
  lab = await Lab.open();
  dockerd = await new Dockerd(lab.daemon).start();
  const archive = await makeImage(lab.daemon.dir, lab.rootfs, 'docker.io/library/talk:latest', ['/bin/true']);
  await lab.ok(['images', 'import', archive]);
  await dockerd.docker(['load', '-i', archive]);
});

after(async () => {
  await dockerd.cleanUp();
  await lab.close();
});

interface Shown {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | undefined;
}

const docker = async (args: readonly string[]): Promise<Shown> => {
  const { stdout, stderr, exitCode } = await dockerd.docker([...args], { reject: false, stripFinalNewline: false });
  return { stdout, stderr, exitCode };
};
const hawser = async (args: readonly string[]): Promise<Shown> => {
  const { stdout, stderr, exitCode } = await lab.hawser(args, { stripFinalNewline: false });
  return { stdout, stderr, exitCode };
};
/** Each has its own times. */
const timeless = ({ stdout, stderr, exitCode }: Shown): Shown => {
  const plain = (text: string): string => text.replaceAll(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z /gm, 'TIME ');
  return { stdout: plain(stdout), stderr: plain(stderr), exitCode };
};

for (const [how, flags, terminal] of [
  ['detached', ['-d'], false],
  ['at a terminal', ['-dt'], true],
  ['in the foreground', [], false],
] as const)
  test(`logs of what runs ${how} are docker's: outputs, times, the last lines, since and until`, async () => {
    const script =
      'for i in 1 2 3 4 5; do echo "out $i"; sleep 0.2; echo "err $i" >&2; sleep 0.2; done; printf "no end"';
    const run = ['run', ...flags, '--name', 'talk', 'talk', 'sh', '-c', script];
    const [theirs, ours] = await Promise.all([docker(run), hawser(run)]);
    if (flags.length === 0) assert.deepEqual(ours, theirs);
    await Promise.all([docker(['wait', 'talk']), hawser(['wait', 'talk'])]);
    const show = async (
      of: (program: typeof docker) => Promise<readonly string[]> | readonly string[],
    ): Promise<Shown> => {
      const [theirs, ours] = await Promise.all(
        [docker, hawser].map(async (program) => timeless(await program(['logs', ...(await of(program)), 'talk']))),
      );
      assert.deepEqual(ours, theirs);
      return ours!;
    };
    const { stdout, stderr } = await show(() => []);
    assert.match(stdout, /^out 1\r?\n/);
    assert.equal(stderr === '', terminal);
    for (const words of [
      ['-t'],
      ['-f'],
      ['--tail', '3'],
      ['-n', '1', '-t'],
      ['--tail', '0'],
      ['--tail', '-1'],
      ['--tail', 'all'],
      ['--since', '1h'],
      ['--until', '1h'],
      ['--since', '2000-01-01', '--until', '2000-01-02T03:04'],
      ['--since', '0'],
      ['--since', '946684800.5', '-t', '-n', '2'],
    ])
      await show(() => words);
    // By each one's own times of its lines; both ends are meant.
    const timesOf = async (program: typeof docker): Promise<string[]> => {
      const { stdout, stderr } = await program(['logs', '-t', 'talk']);
      return `${stdout}\n${stderr}`
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split(' ')[0]!)
        .sort();
    };
    const seen = new Set<string>();
    for (const words of [
      (times: string[]) => ['--since', times[3]!],
      (times: string[]) => ['--until', times[3]!],
      (times: string[]) => ['--since', times[2]!, '--until', times[6]!, '-t'],
      (times: string[]) => ['--tail', '4', '--until', times[8]!],
      (times: string[]) => ['--tail', '4', '--since', times[2]!],
      (times: string[]) => ['--tail', '2', '--until', times[2]!],
      (times: string[]) => ['-f', '--until', times[4]!],
    ])
      seen.add(JSON.stringify(await show(async (program) => words(await timesOf(program)))));
    assert.ok(seen.size >= 6);
    await Promise.all([docker(['rm', '-f', 'talk']), hawser(['rm', '-f', 'talk'])]);
  });
