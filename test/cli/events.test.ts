/** hawser events: what has been, until when, and docker's filters. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { execa } from 'execa';
import { onHawserd, until } from '../support/daemons.js';
import { Lab, PROGRAM } from './lab.js';

let lab: Lab;
before(async () => {
  lab = await Lab.open();
  await lab.ok(['images', 'import', await lab.image()]);
});
after(() => lab.close());

const FORM = ['--format', '{{.Topic}} {{.ID}}'];
/** Those that the daemon still has, until now: it ends by itself. */
const told = async (...flags: string[]): Promise<string[]> =>
  (await lab.ok(['events', '--until', '0s', ...FORM, ...flags])).split('\n').filter(Boolean);

/** containerd keeps none. */
const skip = !onHawserd && 'there is nothing of what has been';

test('--since begins with what the daemon has kept, --until ends it, also when it is to come', { skip }, async () => {
  const before = new Date().toISOString();
  await lab.ok(['run', '--rm', '--name', 'first', '--rootfs', lab.rootfs, 'true']);
  const between = new Date().toISOString();
  await lab.ok(['run', '--rm', '--name', 'second', '--rootfs', lab.rootfs, 'true']);
  const ofTasks = (name: string): string[] =>
    ['create', 'start', 'exit', 'delete'].map((what) => `/tasks/${what} ${name}`);
  const all = await told('--since', before, '--filter', 'topic~=/tasks/');
  assert.deepEqual(all, [...ofTasks('first'), ...ofTasks('second')]);
  assert.deepEqual(await told('--since', between, '--filter', 'topic~=/tasks/'), ofTasks('second'));
  assert.deepEqual(
    (await lab.ok(['events', '--since', before, '--until', between, '--filter', 'topic~=/tasks/', ...FORM])).split(
      '\n',
    ),
    ofTasks('first'),
  );
  assert.deepEqual(await told(), [], 'without since there is nothing of what has been');
  assert.ok((await told('--since', '10m')).length > 8);
  // One that is to come is waited for; what happens meanwhile is told.
  const end = new Date(Date.now() + 3000).toISOString();
  const watching = lab.ok(['events', '--since', between, '--until', end, '--filter', 'event=die', ...FORM]);
  await lab.ok(['run', '--rm', '--name', 'third', '--rootfs', lab.rootfs, 'true']);
  assert.deepEqual((await watching).split('\n'), ['/tasks/exit second', '/tasks/exit third']);
  assert.ok(new Date().toISOString() >= end);
  const { stderr, exitCode } = await lab.hawser(['events', '--since', 'yesterday']);
  assert.equal(exitCode, 125);
  assert.match(stderr, /^hawser: --since "yesterday" is no time: /);
});

test(
  'a daemon that keeps no events: --since is refused, and --until ends what is heard',
  { skip: onHawserd },
  async () => {
    const { stderr, exitCode } = await lab.hawser(['events', '--since', '10m']);
    assert.equal(exitCode, 1);
    assert.match(stderr, /^hawser: events --since: the daemon at \S+ keeps no events, as hawserd does: leave it out /);
    assert.deepEqual(await told(), []);
    const end = new Date(Date.now() + 3000).toISOString();
    await lab.ok(['events', '--until', end]);
    assert.ok(new Date().toISOString() >= end);
  },
);

test("docker's filters, as it happens: of one name any may hold, of several each must", async () => {
  const sets: readonly (readonly [wanted: string, filters: readonly string[]])[] = [
    ['/tasks/start live', ['event=start', 'container=live']],
    ['/tasks/exit live', ['event=die', 'image=box']],
    ['/tasks/paused live, /tasks/resumed live', ['event=pause', 'event=unpause', 'label=tier=live']],
    // The last of all: what was to be heard has been.
    ['/containers/delete live', ['event=destroy', 'container=live']],
  ];
  const heard = sets.map(() => '');
  const listening = sets.map(([, filters], at) => {
    const one = execa(
      PROGRAM,
      ['events', ...FORM, ...[...filters, 'label=heard'].flatMap((text) => ['--filter', text])],
      {
        env: lab.env,
        extendEnv: false,
        stdin: 'ignore',
        reject: false,
      },
    );
    one.stdout.on('data', (chunk: Buffer) => (heard[at] += chunk.toString()));
    return one;
  });
  try {
    await lives(() => heard.every((text, at) => text.includes(sets[at]![0].split(', ').at(-1)!)));
    for (const [at, [wanted]] of sets.entries()) {
      const lines = heard[at]!.trim().split('\n');
      assert.deepEqual([...new Set(lines)].join(', '), wanted);
    }
  } finally {
    for (const one of listening) one.kill('SIGINT');
    await Promise.all(listening);
  }
});

/** Until it is so. When somebody listens can only be told by what is heard. */
async function lives(isEnough: () => boolean): Promise<void> {
  await until('all is heard', async () => {
    await lab.ok([
      'run',
      '-d',
      '--name',
      'live',
      '--label',
      'tier=live',
      '--label',
      'heard=yes',
      'box',
      'sleep',
      '1000',
    ]);
    for (const words of [['pause'], ['unpause'], ['kill'], ['wait'], ['rm']]) await lab.ok([...words, 'live']);
    return isEnough();
  });
}

test("docker's filters: of one name any may hold, of several each must", { skip }, async () => {
  const since = new Date().toISOString();
  const flags = ['--since', since];
  await lab.ok(['run', '-d', '--name', 'web', '--label', 'tier=front', 'box', 'sleep', '1000']);
  await lab.ok(['run', '-d', '--name', 'db', '--label', 'tier=back', '--rootfs', lab.rootfs, 'sleep', '1000']);
  await lab.hawser(['exec', 'web', 'true']);
  await lab.ok(['pause', 'web']);
  await lab.ok(['unpause', 'web']);
  await lab.ok(['kill', 'web']);
  await lab.ok(['wait', 'web']);
  const filtered = async (...filters: string[]): Promise<string> =>
    (await told(...flags, ...filters.flatMap((one) => ['--filter', one]))).join(', ');
  assert.equal(await filtered('event=die'), '/tasks/exit web');
  assert.equal(await filtered('event=exec_die'), '/tasks/exit web');
  assert.equal(await filtered('event=pause', 'event=unpause'), '/tasks/paused web, /tasks/resumed web');
  assert.equal(await filtered('event=start', 'container=db'), '/tasks/start db');
  assert.equal(await filtered('event=start', 'container=db', 'container=web'), '/tasks/start web, /tasks/start db');
  assert.equal(await filtered('event=start', 'label=tier'), '/tasks/start web, /tasks/start db');
  assert.equal(await filtered('event=start', 'label=tier=back'), '/tasks/start db');
  for (const image of ['box', 'box:latest', 'docker.io/library/box:latest'])
    assert.equal(await filtered('event=start', `image=${image}`), '/tasks/start web');
  assert.equal(await filtered('image=other'), '');
  const ofContainers = await filtered('type=container', 'container=db');
  assert.match(ofContainers, /^\/containers\/create db, .*\/tasks\/start db/);
  assert.doesNotMatch(await filtered('type=image'), /containers|tasks/);
  await lab.ok(['rm', '-f', 'web', 'db']);
  assert.equal(await filtered('event=destroy'), '/containers/delete web, /containers/delete db');
  // Of one that is gone its image is told by its making.
  assert.equal(await filtered('event=start', 'image=box'), '/tasks/start web');
  const { stderr } = await lab.hawser(['events', '--filter', 'colour=red']);
  assert.match(
    stderr,
    /^hawser: --filter "colour=red": there are container, event, id, image, label, type, as event=die, /,
  );
});
