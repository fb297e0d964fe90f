import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { containerd } from '../../src/api/index.js';
import { ContainerdServicesEventsTtrpcV1Events as Events } from '../../src/api/gen/services.js';
import { millis } from '../../src/api/timestamp.js';
import { Absence } from '../../src/shim/events/absence.js';
import { EventPublisher } from '../../src/shim/events/publisher.js';
import { Changes } from '../../src/shim/observe/changes.js';
import type { Logger } from '../../src/shim/observe/log.js';
import { TaskEvents } from '../../src/shim/events/task-events.js';
import { realtimeMillis } from '../../src/sys/index.js';
import { Code, Server, TtrpcError, type CallContext } from '../../src/ttrpc/index.js';
import { eventually } from '../support/eventually.js';
import { deferred } from '../support/ttrpc-fixture.js';
import { tempDir } from './fixtures/support.js';

type Envelope = containerd.services.events.ttrpc.v1.Envelope.$Properties;

interface Daemon {
  received: Envelope[];
  stop: () => Promise<void>;
}

/** A daemon that takes events at a socket. */
async function daemon(
  path: string,
  forward: (envelope: Envelope, context: CallContext) => unknown = () => undefined,
): Promise<Daemon> {
  const received: Envelope[] = [];
  const server = new Server({ authorize: 'none' }).add(Events, {
    async Forward({ envelope }, context) {
      await forward(envelope!, context);
      received.push(envelope!);
      return {};
    },
  });
  const listener = createServer();
  await server.serve(listener);
  await new Promise<void>((resolve) => {
    listener.listen(path, resolve);
  });
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      if (!running.delete(stop)) return resolve();
      listener.once('close', () => resolve());
      server.close();
    });
  running.add(stop);
  return { received, stop };
}

const running = new Set<() => Promise<void>>();

// A test that failed half-way must not leave a daemon that keeps this process running.
afterEach(async () => {
  for (const stop of running) await stop();
});

interface Log extends Logger {
  lines: { level: string; message: string; fields: Record<string, unknown> }[];
}

function newLog(): Log {
  const lines: Log['lines'] = [];
  const at =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}): void =>
      void lines.push({ level, message, fields });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

interface Setup {
  path: string;
  log: Log;
  publisher: EventPublisher;
  publish: (...names: string[]) => void;
}

/** @param settleMs how long a daemon's clients may take to come back; an hour is for ever */
function setup(t: TestContext, settleMs = 0): Setup {
  const path = join(tempDir(t), 's');
  const log = newLog();
  const publisher = new EventPublisher(path, 'ns', log, new Absence(undefined, settleMs));
  t.after(() => publisher.close(0));
  return {
    path,
    log,
    publisher,
    publish: (...names) => {
      for (const name of names) publisher.publish(`/tasks/${name}`, `type.${name}`, Buffer.from(name));
    },
  };
}

const topics = (received: Envelope[]): string[] => received.map(({ topic }) => topic!.replace('/tasks/', ''));
const numbers = (count: number, prefix = 'e'): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`);

test('an event arrives as it was published, with the namespace and the time', async (t) => {
  const { path, publisher } = setup(t);
  let metadata: unknown;
  let deadline: unknown;
  const { received, stop } = await daemon(path, (_, context) => {
    metadata = context.metadata.get('containerd-namespace-ttrpc');
    deadline = context.deadline;
  });
  const before = realtimeMillis();
  publisher.publish('/tasks/start', 'containerd.events.TaskStart', Buffer.from([1, 2]));
  const after = realtimeMillis();
  const envelope = await eventually('it arrives', () => received[0]);
  assert.deepEqual(
    [envelope.namespace, envelope.topic, envelope.event!.type_url, Buffer.from(envelope.event!.value!)],
    ['ns', '/tasks/start', 'containerd.events.TaskStart', Buffer.from([1, 2])],
  );
  const time = millis(envelope.timestamp)!;
  assert.ok(before <= time && time <= after);
  assert.deepEqual(metadata, 'ns');
  assert.notEqual(deadline, undefined);
  await stop();
});

for (const [what, topic, isAnswering, doing] of [
  ['an exit is on its way before it is noted', '/tasks/exit', false, 'awaiting the reply'],
  ['an exit waits for the reply to a request that is being answered', '/tasks/exit', true, 'idle'],
  ['what is told of anything else waits for the reply', '/tasks/start', false, 'idle'],
] as const)
  test(what, async (t) => {
    const path = join(tempDir(t), 's');
    const { received, stop } = await daemon(path);
    const changes = new Changes();
    const publisher = new EventPublisher(
      path,
      'ns',
      newLog(),
      new Absence(undefined, 0),
      undefined,
      changes,
      undefined,
      () => isAnswering,
    );
    t.after(() => publisher.close(0));
    publisher.publish('/tasks/create', 't', Buffer.alloc(0));
    await eventually('it is connected', () => publisher.describe().sender.doing === 'idle' && received.length === 1);
    const seen: string[] = [];
    changes.onChange = () => seen.push(publisher.describe().sender.doing);
    publisher.publish(topic, 't', Buffer.alloc(0));
    assert.deepEqual(seen, [doing]);
    publisher.publish('/tasks/exit', 't', Buffer.from('next'));
    await eventually('both arrive, in their order', () => received.length === 3);
    assert.deepEqual(topics(received), ['create', topic.replace('/tasks/', ''), 'exit']);
    await stop();
  });

test('the order is that of publishing', async (t) => {
  const { path, publish } = setup(t);
  // The daemon takes longer for the first ones.
  let calls = 0;
  const { received, stop } = await daemon(
    path,
    () =>
      new Promise((resolve) => {
        setTimeout(resolve, calls++ < 3 ? 20 : 0);
      }),
  );
  publish(...numbers(50));
  await eventually('all arrive', () => received.length === 50);
  assert.deepEqual(topics(received), numbers(50));
  await stop();
});

test('an address may be written as a URI', async (t) => {
  const { path } = setup(t);
  const { received, stop } = await daemon(path);
  const publisher = new EventPublisher(`unix://${path}`, 'ns', newLog());
  publisher.publish('/tasks/x', 't', Buffer.alloc(0));
  await eventually('it arrives', () => received.length === 1);
  await publisher.close(0);
  await stop();
});

test('what is published while there is no daemon arrives when there is one, in order, with its own time', async (t) => {
  const { path, publish, publisher, log } = setup(t);
  const before = realtimeMillis();
  publish(...numbers(20));
  const after = realtimeMillis();
  await eventually('an attempt failed', () =>
    log.lines.some(({ message }) => message.includes('could not be sent yet')),
  );
  assert.deepEqual(publisher.stats, { queued: 20, dropped: 0 });
  const { received, stop } = await daemon(path);
  await eventually('all arrive', () => received.length === 20);
  assert.deepEqual(topics(received), numbers(20));
  assert.ok(received.every(({ timestamp }) => before <= millis(timestamp)! && millis(timestamp)! <= after));
  await eventually('the queue is empty', () => publisher.stats.queued === 0);
  await stop();
});

test('a daemon that restarts gets everything, in order, an event in flight among it', async (t) => {
  const { path, publish } = setup(t);
  const arrived = deferred<void>();
  const first = await daemon(path, ({ topic }) => {
    if (topic !== '/tasks/e3') return undefined;
    arrived.resolve();
    return new Promise(() => undefined);
  });
  publish(...numbers(10));
  await arrived.promise;
  await first.stop();
  const second = await daemon(path);
  await eventually('the rest arrives', () => second.received.length === 7);
  assert.deepEqual(topics(first.received), numbers(3));
  assert.deepEqual(topics(second.received), numbers(10).slice(3));
  await second.stop();
});

const HOUR_MS = 3_600_000;

/** A publisher whose first daemon has gone, once it had taken what is published. */
async function abandoned(
  t: TestContext,
  settleMs: number,
  publishFirst: (publisher: EventPublisher) => void,
): Promise<Setup & { first: Daemon }> {
  const all = setup(t, settleMs);
  const first = await daemon(all.path);
  publishFirst(all.publisher);
  await eventually('the first daemon has all', () => all.publisher.stats.queued === 0);
  await first.stop();
  await eventually('the connection is gone', () => !all.publisher.describe().connected);
  return { ...all, first };
}

const waitsForSubscribers = (publisher: EventPublisher): Promise<true> =>
  eventually(
    'it waits for subscribers',
    () => publisher.describe().sender.doing === 'waiting for subscribers' || undefined,
  );

test('a daemon that has come back is told nothing before its clients may be back: not what waited, nor what comes then', async (t) => {
  const { path, publish, publisher } = await abandoned(
    t,
    HOUR_MS,
    (one) => void one.publish('/tasks/start', 't', Buffer.alloc(0)),
  );
  publish('while-away');
  const { received, stop } = await daemon(path);
  await waitsForSubscribers(publisher);
  publish('thereafter');
  assert.deepEqual(
    [topics(received), publisher.describe().head?.topic, publisher.stats.queued],
    [[], '/tasks/while-away', 2],
  );
  // A client that asks for something is there.
  publisher.commanded();
  await eventually('both arrive', () => received.length === 2);
  assert.deepEqual(topics(received), ['while-away', 'thereafter']);
  await stop();
});

test('so it is with the first event after its return, if none waited, and a command that came since then counts', async (t) => {
  const { path, publish, publisher } = await abandoned(
    t,
    HOUR_MS,
    (one) => void one.publish('/tasks/start', 't', Buffer.alloc(0)),
  );
  const { received, stop } = await daemon(path);
  publish('thereafter');
  await waitsForSubscribers(publisher);
  assert.deepEqual(topics(received), []);
  await stop();
  const second = await daemon(path);
  const then = new Date(Date.now() - 1_000);
  utimesSync(path, then, then);
  publisher.commanded();
  await eventually('it arrives', () => second.received.length === 1);
  await second.stop();
});

test('a daemon that came back long ago is told at once', async (t) => {
  const { path, publish, publisher } = await abandoned(
    t,
    HOUR_MS,
    (one) => void one.publish('/tasks/start', 't', Buffer.alloc(0)),
  );
  const { received, stop } = await daemon(path);
  const then = new Date(Date.now() - 2 * HOUR_MS);
  utimesSync(path, then, then);
  publish('late');
  await eventually('it arrives', () => received.length === 1);
  await eventually('it waits for nothing more', () => publisher.describe().sender.doing === 'idle');
  await stop();
});

test('a daemon that refuses for a moment has not been away: it is told at once, and nothing again', async (t) => {
  const { path, publish, publisher } = setup(t, HOUR_MS);
  let failures = 1;
  const { received, stop } = await daemon(path, ({ topic }) => {
    if (topic === '/tasks/e1' && failures-- > 0) throw new TtrpcError(Code.Unavailable, 'not now');
  });
  publisher.publish('/tasks/exit', 't', Buffer.alloc(0), () => false);
  publish('e1');
  await eventually('both arrive', () => publisher.stats.queued === 0);
  assert.deepEqual(topics(received), ['exit', 'e1']);
  assert.equal(publisher.describe().repeated, 0);
  await stop();
});

test('what a daemon took just before its end is told again to the next, in order and first, if somebody may need it yet', async (t) => {
  let isDeleted = false;
  const { path, publish, publisher, first } = await abandoned(t, 0, (one) => {
    one.publish('/tasks/start', 't', Buffer.alloc(0));
    one.publish('/tasks/oom', 't', Buffer.alloc(0), () => false);
    one.publish('/tasks/exit', 't', Buffer.from([1]), () => isDeleted);
    one.publish('/tasks/exit', 't', Buffer.from([2]), () => false);
  });
  assert.deepEqual(topics(first.received), ['start', 'oom', 'exit', 'exit']);
  publish('later');
  assert.equal(publisher.stats.queued, 4, 'it counts as waiting, so that Pids names the init until then');
  isDeleted = true;
  const { received, stop } = await daemon(path);
  await eventually('all arrive', () => publisher.stats.queued === 0);
  assert.deepEqual(
    received.map(({ topic, event }) => [topic, event!.value?.[0]]),
    [
      ['/tasks/oom', undefined],
      ['/tasks/exit', 2],
      ['/tasks/later', 'l'.charCodeAt(0)],
    ],
  );
  assert.equal(publisher.describe().repeated, 2);
  await stop();
});

test('what a daemon took a while before its end was heard, and is not told again', async (t) => {
  const { path, publish, publisher } = setup(t);
  const first = await daemon(path);
  publisher.publish('/tasks/exit', 't', Buffer.alloc(0), () => false);
  await eventually('it has it', () => publisher.stats.queued === 0);
  await delay(2_100);
  await first.stop();
  const second = await daemon(path);
  publish('later');
  await eventually('all arrive', () => second.received.length === 1 && publisher.stats.queued === 0);
  assert.deepEqual(topics(second.received), ['later']);
  await second.stop();
});

test('closing holds nothing back', async (t) => {
  const { path, publish, publisher } = await abandoned(
    t,
    HOUR_MS,
    (one) => void one.publish('/tasks/start', 't', Buffer.alloc(0)),
  );
  publish('e0', 'e1');
  const { received, stop } = await daemon(path);
  await waitsForSubscribers(publisher);
  await publisher.close(60_000);
  assert.deepEqual(topics(received), ['e0', 'e1']);
  await stop();
});

test('a daemon that goes away while its clients are waited for is looked for again', async (t) => {
  const { path, publish, publisher } = await abandoned(
    t,
    HOUR_MS,
    (one) => void one.publish('/tasks/start', 't', Buffer.alloc(0)),
  );
  publish('e0');
  const second = await daemon(path);
  await waitsForSubscribers(publisher);
  await second.stop();
  await eventually('it tries again', () => publisher.describe().sender.doing !== 'waiting for subscribers');
  const third = await daemon(path);
  await waitsForSubscribers(publisher);
  await publisher.close(60_000);
  assert.deepEqual([topics(second.received), topics(third.received)], [[], ['e0']]);
  await third.stop();
});

for (const code of [Code.Unavailable, Code.Unknown, Code.Internal, Code.NotFound]) {
  test(`a daemon that answers ${Code[code]} is asked again, and nothing overtakes`, async (t) => {
    const { path, publish, publisher } = setup(t);
    let failures = 2;
    const { received, stop } = await daemon(path, () => {
      if (failures-- > 0) throw new TtrpcError(code, 'not now');
    });
    publish('e0', 'e1', 'e2');
    await eventually('all arrive', () => received.length === 3);
    assert.deepEqual(topics(received), numbers(3));
    assert.equal(publisher.stats.dropped, 0);
    await stop();
  });
}

for (const code of [Code.InvalidArgument, Code.Unimplemented, Code.ResourceExhausted]) {
  test(`an event that is refused with ${Code[code]} is dropped with a line in the log, and the next goes on`, async (t) => {
    const { path, publish, log } = setup(t);
    let asked = 0;
    const { received, stop } = await daemon(path, ({ topic }) => {
      if (topic !== '/tasks/bad') return;
      asked++;
      throw new TtrpcError(code, 'never');
    });
    publish('good', 'bad', 'better');
    await eventually('the others arrive', () => received.length === 2);
    assert.deepEqual(topics(received), ['good', 'better']);
    assert.equal(asked, 1);
    assert.deepEqual(
      log.lines.filter(({ level }) => level === 'error').map(({ fields }) => fields.topic),
      ['/tasks/bad'],
    );
    await stop();
  });
}

test('closing waits for what is queued', async (t) => {
  const { path, publish, publisher, log } = setup(t);
  const { received, stop } = await daemon(
    path,
    () =>
      new Promise((resolve) => {
        setTimeout(resolve, 2);
      }),
  );
  publish(...numbers(20));
  await publisher.close(60_000);
  assert.deepEqual(topics(received), numbers(20));
  assert.deepEqual(publisher.stats, { queued: 0, dropped: 0 });
  assert.deepEqual(
    log.lines.filter(({ level }) => level === 'error'),
    [],
  );
  await stop();
});

test('closing does not wait for a pause between attempts', async (t) => {
  const { path, publish, publisher, log } = setup(t);
  // A pause that would never end by itself.
  t.mock.timers.enable({ apis: ['setTimeout'] });
  publish('e0');
  await eventually('an attempt failed', () =>
    log.lines.some(({ message }) => message.includes('could not be sent yet')),
  );
  const { received, stop } = await daemon(path);
  await publisher.close(60_000);
  assert.deepEqual(topics(received), ['e0']);
  await stop();
});

test('closing gives up after its time, and says how many are lost', async (t) => {
  const { path, publish, publisher, log } = setup(t);
  const { stop } = await daemon(path, () => new Promise(() => undefined));
  publish('e0', 'e1', 'e2');
  await publisher.close(10);
  assert.deepEqual(
    log.lines.filter(({ level }) => level === 'error').map(({ fields }) => fields.count),
    [3],
  );
  assert.equal(publisher.stats.queued, 0);
  await stop();
});

test('closing with nothing queued, and closing again, is at once', async (t) => {
  const { publisher } = setup(t);
  await publisher.close(60_000);
  await publisher.close(60_000);
});

test('what is published after closing, or without an address, is dropped quietly', async (t) => {
  const { path, publish, publisher, log } = setup(t);
  const { received, stop } = await daemon(path);
  await publisher.close(0);
  publish('late');
  assert.deepEqual(publisher.stats, { queued: 0, dropped: 0 });
  const nowhere = new EventPublisher('', 'ns', log);
  nowhere.publish('/tasks/x', 't', Buffer.alloc(0));
  assert.equal(nowhere.stats.queued, 0);
  await nowhere.close(60_000);
  assert.deepEqual(received, []);
  await stop();
});

const CAPACITY = 16_384;

test('with too many waiting, the oldest go that are no exits, and all exits arrive', async (t) => {
  const { path, publish, publisher, log } = setup(t);
  const exits = 50;
  for (let n = 0; n < exits; n++) publish('exit', `other${n}`);
  publish(...numbers(CAPACITY - exits, 'filler'));
  assert.deepEqual(publisher.stats, { queued: CAPACITY, dropped: exits });
  const dropped = log.lines
    .filter(({ message }) => message.includes('too many events'))
    .map(({ fields }) => fields.topic);
  assert.deepEqual(
    dropped,
    numbers(exits, 'other').map((name) => `/tasks/${name}`),
  );
  const { received, stop } = await daemon(path);
  await publisher.close(60_000);
  assert.equal(topics(received).filter((topic) => topic === 'exit').length, exits);
  assert.deepEqual(
    topics(received).filter((topic) => topic !== 'exit'),
    numbers(CAPACITY - exits, 'filler'),
  );
  await stop();
});

test('an event that is dropped while it is on its way takes no other with it', async (t) => {
  const { path, publish, publisher } = setup(t);
  const arrived = deferred<void>();
  const gate = deferred<void>();
  const { received, stop } = await daemon(path, ({ topic }) => {
    if (topic !== '/tasks/first') return undefined;
    arrived.resolve();
    return gate.promise;
  });
  publish('first', 'exit');
  await arrived.promise;
  publish(...numbers(CAPACITY - 1, 'filler'));
  assert.deepEqual(publisher.stats, { queued: CAPACITY, dropped: 1 });
  gate.resolve();
  await publisher.close(60_000);
  assert.deepEqual(topics(received), ['first', 'exit', ...numbers(CAPACITY - 1, 'filler')]);
  await stop();
});

test('a queue full of exits does not lose one to make room for something else', (t) => {
  const { publish, log } = setup(t);
  for (let n = 0; n < CAPACITY; n++) publish('exit');
  publish('oom');
  assert.deepEqual(
    log.lines.filter(({ message }) => message.includes('too many events')).map(({ fields }) => fields.topic),
    ['/tasks/oom'],
  );
});

test('the events of tasks: topic, type and content', async (t) => {
  const { path, publisher } = setup(t);
  const { received, stop } = await daemon(path);
  const events = new TaskEvents(publisher, 'c');
  const init = {
    pid: 9,
    stdin: '0',
    stdout: '1',
    stderr: '2',
    terminal: true,
    stdinClosed: false,
    label: '',
    exitStatus: 1,
    exitedAt: 1000,
    state: 'stopped' as const,
  };
  events.create({
    id: 'c',
    bundle: 'b',
    mounts: [{ type: 't', source: 's', target: '', options: ['o'] }],
    checkpoint: 'k',
    parentCheckpoint: '',
    init: { ...init, state: 'created' },
    runtime: {
      binary: '',
      root: '',
      systemdCgroup: false,
      criu: '',
      criuWorkPath: '',
      noPivotRoot: false,
      noNewKeyring: false,
      ioUid: 0,
      ioGid: 0,
    },
    sharesPidNamespace: false,
    onLogDeath: '',
    cgroupsPath: '',
    cgroup: undefined,
    execs: {},
  });
  events.start(9);
  events.execAdded('e');
  events.execStarted('e', 9);
  events.paused();
  events.resumed();
  events.oom();
  events.exit('e', init);
  events.delete(init);
  const { exitedAt: _, ...running } = init;
  events.exit('c', running);
  await publisher.close(60_000);
  await stop();
  // Field by field as in contract §4.1; a time that is not known is the zero time, not left out.
  assert.deepEqual(
    received.map(({ topic, event }) => [topic, event!.type_url, Buffer.from(event!.value!).toString('hex')]),
    [
      [
        '/tasks/create',
        'containerd.events.TaskCreate',
        '0a0163 120162 1a09 0a0174 120173 22016f 220b 0a0130 120131 1a0132 2001 2a016b 3009',
      ],
      ['/tasks/start', 'containerd.events.TaskStart', '0a0163 1009'],
      ['/tasks/exec-added', 'containerd.events.TaskExecAdded', '0a0163 120165'],
      ['/tasks/exec-started', 'containerd.events.TaskExecStarted', '0a0163 120165 1809'],
      ['/tasks/paused', 'containerd.events.TaskPaused', '0a0163'],
      ['/tasks/resumed', 'containerd.events.TaskResumed', '0a0163'],
      ['/tasks/oom', 'containerd.events.TaskOOM', '0a0163'],
      ['/tasks/exit', 'containerd.events.TaskExit', '0a0163 120165 1809 2001 2a020801'],
      ['/tasks/delete', 'containerd.events.TaskDelete', '0a0163 1009 1801 22020801'],
      ['/tasks/exit', 'containerd.events.TaskExit', '0a0163 120163 1809 2001 2a0b 088092b8c398feffffff01'],
    ].map(([topic, type, bytes]) => [topic, type, bytes!.replaceAll(' ', '')]),
  );
});
