/** What is told of containers, when some of it was heard and some has to be found out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerd, pack } from '../../src/api/full.js';
import { envelopeOf } from '../../src/client/events/decode.js';
import { KnownContainers, type LookAtExec } from '../../src/client/events/known.js';
import type { ContainerEvent, EventKind } from '../../src/client/types/events.js';
import type { Exit, TaskState, TaskStatus } from '../../src/client/types/process.js';

const exit = (exitCode: number): Exit => ({ exitCode, exitedAt: new Date(0) });

function heard(kind: EventKind, containerId: string, pid: number, processId = containerId): ContainerEvent {
  return {
    kind,
    containerId,
    processId,
    pid,
    exit: undefined,
    timestamp: new Date(0),
    replayed: false,
    envelope: undefined,
  };
}

function task(containerId: string, state: TaskState, pid: number, code = 0): TaskStatus {
  return {
    containerId,
    id: containerId,
    state,
    pid,
    exit: state === 'stopped' ? exit(code) : undefined,
    terminal: false,
    stdin: '',
    stdout: '',
    stderr: '',
  };
}

const none: LookAtExec = () => Promise.resolve(undefined);

async function found(
  known: KnownContainers,
  tasks: TaskStatus[],
  exits: [number, Exit][] = [],
  look = none,
): Promise<string[]> {
  const events = await known.compare(tasks, new Map(exits), look);
  assert.ok(events.every(({ replayed }) => replayed));
  return events.map(
    ({ kind, processId, pid, exit: how }) => `${kind} ${processId} ${pid}${how ? ` ${how.exitCode}` : ''}`,
  );
}

function running(): KnownContainers {
  const known = new KnownContainers();
  assert.ok(known.take(heard('create', 'a', 1), false));
  assert.ok(known.take(heard('start', 'a', 1), false));
  return known;
}

test('nothing is told when nothing has happened', async () => {
  assert.deepEqual(await found(running(), [task('a', 'running', 1)]), []);
});

test('an end that was missed, by what the daemon says of it', async () => {
  const known = running();
  assert.deepEqual(await found(known, [task('a', 'stopped', 1, 5)]), ['exit a 1 5']);
  assert.equal(known.take(heard('exit', 'a', 1), false), false, 'the shim tells it later');
  assert.deepEqual(await found(running(), []), ['exit a 1']);
  assert.deepEqual(await found(running(), [], [[1, exit(6)]]), ['exit a 1 6']);
});

test('another task of the same container', async () => {
  const known = running();
  assert.deepEqual(await found(known, [task('a', 'paused', 2)]), ['exit a 1', 'create a 2', 'start a 2', 'paused a 2']);
  for (const late of [heard('exit', 'a', 1), heard('create', 'a', 2), heard('start', 'a', 2), heard('paused', 'a', 0)])
    assert.equal(known.take(late, false), false, late.kind);
  assert.ok(known.take(heard('resumed', 'a', 0), false));
});

test('what is heard twice is told once', () => {
  const known = running();
  for (const again of [heard('create', 'a', 1), heard('start', 'a', 1), heard('resumed', 'a', 0)])
    assert.equal(known.take(again, false), false, again.kind);
  assert.ok(known.take(heard('exit', 'a', 1), false));
  assert.equal(known.take(heard('exit', 'a', 1), false), false);
  assert.ok(known.take(heard('unknown', 'a', 1), true));
  assert.ok(known.take(heard('create', 'a', 1), false), 'a pid that came round again');
});

test('execs that ended meanwhile', async () => {
  const known = running();
  for (const [exec, pid] of [
    ['gone', 11],
    ['ended', 12],
    ['lives', 13],
  ] as const) {
    known.take(heard('exec-added', 'a', 0, exec), false);
    known.take(heard('exec-started', 'a', pid, exec), false);
  }
  known.take(heard('exec-added', 'a', 0, 'never'), false);
  const look: LookAtExec = (_, exec) =>
    Promise.resolve(exec === 'lives' ? undefined : { exit: exec === 'ended' ? exit(4) : undefined });
  assert.deepEqual(await found(known, [task('a', 'running', 1)], [], look), ['exit gone 11', 'exit ended 12 4']);
  assert.equal(known.take(heard('exit', 'a', 12, 'ended'), false), false);
  assert.ok(known.take(heard('exit', 'a', 13, 'lives'), false));
  assert.deepEqual(await found(known, [task('a', 'running', 1)], [], look), []);
});

test('what is there at the beginning is no news', async () => {
  const known = new KnownContainers();
  known.learn([task('a', 'running', 1), task('b', 'stopped', 2)]);
  assert.deepEqual(await found(known, [task('a', 'running', 1), task('b', 'stopped', 2)]), []);
  assert.deepEqual(await found(known, [task('a', 'paused', 1), task('c', 'created', 3)]), ['paused a 1', 'create c 3']);
});

test('events are decoded by the names that containerd has for them', () => {
  const decoded = (event: ReturnType<typeof pack>): unknown => ({ ...envelopeOf({ event }).event });
  const { ImageDelete } = containerd.services.images.v1;
  assert.deepEqual(decoded(pack('containerd.services.images.v1.ImageDelete', ImageDelete, { name: 'i' })), {
    name: 'i',
  });
  const { TaskOOM } = containerd.events;
  assert.deepEqual(decoded(pack('example.org/containerd.events.TaskOOM', TaskOOM, { containerId: 'c' })), {
    containerId: 'c',
  });
  assert.equal(envelopeOf({ event: { type_url: 'example.Own', value: Buffer.from('x') } }).event, undefined);
  assert.equal(
    envelopeOf({ event: { type_url: 'containerd.events.toString', value: Buffer.from('x') } }).event,
    undefined,
  );
});
