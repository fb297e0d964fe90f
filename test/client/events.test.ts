/** What a backend is told: the nine kinds, in order for each container, whatever becomes of the daemon. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  FailedPreconditionError,
  InvalidArgumentError,
  UnavailableError,
  type ContainerEvent,
  type EventEnvelope,
} from '../../src/client/index.js';
import { ClientLab, sh } from '../support/client-lab.js';
import { onHawserd } from '../support/daemons.js';
import { eventually, within } from '../support/eventually.js';

let lab: ClientLab;

before(async () => {
  lab = await ClientLab.open();
});
after(() => lab.close());

/** `kind process exit-code` of a container's events. */
function story(events: readonly ContainerEvent[], id: string): string[] {
  return events
    .filter(({ containerId }) => containerId === id)
    .map(({ kind, processId, exit }) => `${kind} ${processId}${exit === undefined ? '' : ` ${exit.exitCode}`}`);
}

test('each kind, in order', async () => {
  const events: ContainerEvent[] = [];
  const watcher = await lab.client.watch({ processEvent: (event) => void events.push(event) });
  const { container, process } = await lab.start(sh('trap "exit 4" TERM; echo up; while :; do sleep 0.05; done'), {
    id: 'kinds',
  });
  await eventually('the trap', () => process.stdout.read() !== null);
  const exec = await container.exec({ id: 'side', args: sh('exit 9') });
  await exec.result();
  await container.pause();
  await container.resume();
  await container.signalProcess('TERM');
  await process.wait();
  await container.delete({ kill: true });
  await eventually('all of it', () => story(events, 'kinds').at(-1)?.startsWith('unknown'));
  assert.deepEqual(story(events, 'kinds'), [
    'create kinds',
    'start kinds',
    'exec-added side',
    'exec-started side',
    'exit side 9',
    'paused kinds',
    'resumed kinds',
    'exit kinds 4',
    'unknown kinds',
  ]);
  const start = events.find(({ kind }) => kind === 'start');
  assert.deepEqual(
    [start?.pid, start?.replayed, start?.envelope?.type],
    [process.pid, false, 'containerd.events.TaskStart'],
  );
  assert.equal(events.at(-1)?.envelope?.topic, '/tasks/delete');
  await watcher.stop();
});

test('a container that is out of memory', async () => {
  const events: ContainerEvent[] = [];
  const watcher = await lab.client.watch((event) => void events.push(event), { containers: ['hungry'] });
  const { container, process } = await lab.start(sh('head -c 200000000 /dev/zero | tail -c 150000000 | wc -c'), {
    id: 'hungry',
    limits: { memory: 16 << 20, memorySwap: 16 << 20 },
  });
  await process.result();
  await eventually('the event', () => events.some(({ kind }) => kind === 'oom'));
  await container.delete({ kill: true });
  await watcher.stop();
});

test('under load, with a backend that takes its time', async () => {
  const events: ContainerEvent[] = [];
  let atOnce = 0;
  const busy = new Set<string>();
  const watcher = await lab.client.watch(async (event) => {
    assert.ok(!busy.has(event.containerId), 'one at a time for each container');
    busy.add(event.containerId);
    atOnce = Math.max(atOnce, busy.size);
    await delay(5);
    busy.delete(event.containerId);
    events.push(event);
  });
  const ids = Array.from({ length: 12 }, (_, n) => `load-${n}`);
  const queue = [...ids];
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
        const { container, process } = await lab.start(sh('read x; exit 7'), { id }, { stdin: 'pipe' });
        await Promise.all([1, 2].map((n) => container.output(sh(`exit ${n}`))));
        await process.closeStdin();
        await process.result();
        await container.delete({ kill: true });
      }
    }),
  );
  await eventually('all of it', () => ids.every((id) => story(events, id).at(-1) === `unknown ${id}`));
  await watcher.stop();
  for (const id of ids) {
    const told = story(events, id);
    assert.deepEqual(
      [...told.slice(0, 2), ...told.slice(-2)],
      [`create ${id}`, `start ${id}`, `exit ${id} 7`, `unknown ${id}`],
    );
    assert.equal(told.length, 10, told.join());
    const execs = events.filter(({ containerId, processId }) => containerId === id && processId !== id);
    for (const exec of new Set(execs.map(({ processId }) => processId))) {
      assert.deepEqual(
        execs.filter(({ processId }) => processId === exec).map(({ kind }) => kind),
        ['exec-added', 'exec-started', 'exit'],
      );
    }
  }
  assert.ok(atOnce > 1, 'containers do not wait for each other');
});

test('an error of the backend ends the watching', async () => {
  const watcher = await lab.client.watch(() => {
    throw new Error('mine');
  });
  const { container, process } = await lab.start(['true']);
  await process.result();
  await assert.rejects(within('the end', watcher.done), /mine/);
  await container.delete({ kill: true });
});

test('the daemon is restarted while it is watched, waited for and written to', async () => {
  const events: ContainerEvent[] = [];
  const connected: boolean[] = [];
  const watcher = await lab.client.watch((event) => void events.push(event), {
    onConnection: (up) => connected.push(up),
  });
  const { container: stays, process: staying } = await lab.start(
    sh('read x; echo "got $x"; exit 6'),
    { id: 'stays' },
    { stdin: 'pipe' },
  );
  const { container: ends, process: ending } = await lab.start(
    sh('sleep 1000'),
    { id: 'ends' },
    { stdout: 'ignore', stderr: 'ignore' },
  );
  const exec = await stays.exec({ id: 'side', args: ['sleep', '1000'], stdout: 'ignore', stderr: 'ignore' });
  const raw = (async () => {
    const seen: EventEnvelope[] = [];
    for await (const event of lab.client.events()) seen.push(event);
    return seen;
  })();
  raw.catch(() => undefined);
  await eventually('the events', () => story(events, 'stays').includes('exec-started side'));

  await lab.daemon.stop('SIGKILL');
  await eventually('the news', () => connected.includes(false));
  await assert.rejects(lab.client.version(), UnavailableError);
  await assert.rejects(within('the raw events to end', raw), UnavailableError);
  process.kill(ending.pid, 'SIGKILL');
  process.kill(exec.pid, 'SIGKILL');
  await lab.daemon.start();
  await eventually('the daemon to be back', () => connected.at(-1) === true);

  assert.equal((await within('the exit that happened meanwhile', ending.wait())).exitCode, 137);
  assert.equal((await within("the exec's", exec.wait())).exitCode, 137);
  await eventually(
    'the exits to be told',
    () =>
      story(events, 'ends').includes('exit ends 137') &&
      story(events, 'stays').some((text) => text.startsWith('exit side')),
  );
  staying.stdin.end('line\n');
  assert.deepEqual(await within('the other', staying.result()), { stdout: 'got line\n', stderr: '', exitCode: 6 });
  await eventually('its exit', () => story(events, 'stays').at(-1) === 'exit stays 6');
  assert.deepEqual(story(events, 'ends'), ['create ends', 'start ends', 'exit ends 137']);
  assert.deepEqual(story(events, 'stays').filter((text) => text.startsWith('exit')).length, 2);
  await Promise.all([stays, ends].map((container) => container.delete({ kill: true })));
  await watcher.stop();
});

test('events of a time that has been, of hawserd, and an end', async () => {
  const before = new Date();
  const { container, process } = await lab.start(['true'], { id: 'earlier' });
  await process.wait();
  await container.delete({ kill: true });
  for await (const { topic } of lab.client.events({ until: new Date(Date.now() + 200) })) assert.fail(topic);
  for await (const { topic } of lab.client.events({ until: before })) assert.fail(topic);
  assert.throws(() => lab.client.events({ since: 'yesterday' }), InvalidArgumentError);
  const earlier = lab.client.events({ since: before, until: new Date(), filters: ['topic~="^/tasks/"'] });
  if (!onHawserd) {
    await assert.rejects(earlier.next(), FailedPreconditionError);
    return;
  }
  const topics: string[] = [];
  for await (const { topic, event } of earlier) if (event?.containerId === 'earlier') topics.push(topic);
  assert.deepEqual(topics, ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
  await assert.rejects(lab.client.events({ since: before, signal: AbortSignal.abort() }).next());
});

test('nothing is left', () => lab.nothingLeft());
