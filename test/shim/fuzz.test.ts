/**
 * Whatever comes in at a shim's socket: garbage, halves, floods. It answers afterwards, and what it has is what it had. Each test says
 * its seed; HAWSER_FUZZ_SEED=N has another one, or the same again.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { containerd, ContainerdTaskV2Task as TaskV2 } from '../../src/api/index.js';
import { stateOf } from '../support/debug.js';
import { eventually, within } from '../support/eventually.js';
import { descriptorsOf, isAlive } from '../support/machine.js';
import { shimTest, STATUS, type Lab, type Shim, type Task } from '../support/shim.js';
import { asleep, end, only, running } from '../support/sleeping.js';
import { rawFrame, rawRequest } from '../support/ttrpc-raw.js';

const SEED = Number(process.env.HAWSER_FUZZ_SEED ?? 13);
const SERVICE = 'containerd.task.v2.Task';
const METHODS = Object.keys(TaskV2.methods);
/** What no client may bring about. */
const TROUBLE = /a defect|a connection failed/;
/** The longest frame that is taken. */
const LONGEST = 4 << 20;

/** Numbers that look random, and are the same each time (mulberry32). */
class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 to below `below`. */
  number(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  one<T>(of: readonly T[]): T {
    return of[this.number(of.length)]!;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.number(256)));
  }
}

function header(length: number, streamId = 1, type = 1, flags = 0): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt32BE(streamId, 4);
  bytes[8] = type;
  bytes[9] = flags;
  return bytes;
}

/** A client without manners: it hears nothing of what goes wrong. */
async function visitor(path: string, ...bytes: Uint8Array[]): Promise<Socket> {
  const socket = connect({ path });
  socket.on('error', () => undefined);
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  for (const part of bytes) socket.write(part);
  return socket;
}

/** When so much as can be sent is, and the shim has had a look; it may hang up before that. */
async function leave(socket: Socket, how: 'at once' | 'by halves' | 'when it has an answer'): Promise<void> {
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  if (how === 'when it has an answer' && !socket.destroyed) {
    // A frame whose rest never comes has none.
    await Promise.race([once(socket, 'data'), closed, new Promise((resolve) => setTimeout(resolve, 100))]);
  }
  if (how === 'by halves') socket.resume().end();
  else socket.destroy();
  await closed;
}

const WAYS = ['at once', 'by halves', 'when it has an answer'] as const;

/** So many visitors at the same time, each with something else. */
async function crowd(
  path: string,
  chance: Chance,
  count: number,
  bytes: (n: number) => readonly Uint8Array[],
): Promise<void> {
  const all = Array.from({ length: count }, (_, n) => ({ says: bytes(n), how: chance.one(WAYS) }));
  const sockets = await Promise.all(all.map(({ says }) => visitor(path, ...says)));
  await Promise.all(sockets.map((socket, n) => leave(socket, all[n]!.how)));
}

/** As a client would ask, of nobody that there is. */
function payloadOf(method: string): Uint8Array {
  const id = 'nobody';
  switch (method) {
    case 'Create':
      return containerd.task.v2.CreateTaskRequest.encode({
        id,
        bundle: '/nowhere',
        rootfs: [{ type: 'bind' }],
      }).finish();
    case 'Exec':
      return containerd.task.v2.ExecProcessRequest.encode({ id, execId: 'e', spec: { type_url: 'x' } }).finish();
    case 'Kill':
      return containerd.task.v2.KillRequest.encode({ id, signal: 9, all: true }).finish();
    default:
      return containerd.task.v2.WaitRequest.encode({ id, execId: 'e' }).finish();
  }
}

/** Some bytes are others, or missing, or there are more. */
function broken(bytes: Uint8Array, chance: Chance): Uint8Array {
  const result = Buffer.from(bytes);
  for (let n = chance.number(4); n >= 0 && result.length > 0; n--)
    result[chance.number(result.length)] = chance.number(256);
  switch (chance.number(3)) {
    case 0:
      return result.subarray(0, chance.number(result.length + 1));
    case 1:
      return Buffer.concat([result, chance.bytes(chance.number(40))]);
    default:
      return result;
  }
}

const state = (streamId: number, id = 'c'): Buffer =>
  rawRequest(streamId, {
    service: SERVICE,
    method: 'State',
    payload: containerd.task.v2.StateRequest.encode({ id }).finish(),
  });

type Attack = (path: string, chance: Chance) => Promise<void>;

const ATTACKS: Readonly<Record<string, Attack>> = {
  'random bytes': (path, chance) => crowd(path, chance, 40, () => [chance.bytes(1 + chance.number(2_000))]),
  'random frames': (path, chance) =>
    crowd(path, chance, 20, () =>
      Array.from({ length: 1 + chance.number(20) }, () =>
        rawFrame(chance.number(2 ** 32), chance.number(5), chance.number(256), chance.bytes(chance.number(300))),
      ),
    ),
  'broken requests': (path, chance) =>
    crowd(path, chance, 20, () => {
      let streamId = 1;
      return Array.from({ length: 20 }, () => {
        const method = chance.one(METHODS);
        const envelope = rawRequest(0, {
          service: SERVICE,
          method,
          payload: broken(payloadOf(method), chance),
          timeoutNano: chance.one([0, 0, 1, -1, 2 ** 62]),
        }).subarray(10);
        streamId += 2;
        return rawFrame(
          streamId,
          1,
          chance.one([0, 1, 2, 3]),
          chance.number(3) === 0 ? broken(envelope, chance) : envelope,
        );
      });
    }),
  'half frames': (path, chance) =>
    crowd(path, chance, 40, () => {
      const whole = Buffer.concat([state(1), state(3), rawFrame(5, 1, 0, chance.bytes(100_000))]);
      return [whole.subarray(0, 1 + chance.number(chance.one([10, 80, 200, whole.length - 2])))];
    }),
  'giant lengths': (path, chance) =>
    crowd(path, chance, 40, (n) => {
      const lengths = [2 ** 32 - 1, 2 ** 31, LONGEST + 1, LONGEST, LONGEST - 1, 2 ** 24];
      // One is as long as it says, and is answered.
      if (n === 0) return [header(LONGEST + 1), Buffer.alloc(LONGEST + 1), state(3)];
      return [header(chance.one(lengths), chance.number(9), chance.number(4)), chance.bytes(chance.number(5_000))];
    }),
  'a flood of connections': (path, chance) =>
    crowd(path, chance, 400, (n) => (n % 3 === 0 ? [] : n % 3 === 1 ? [state(1)] : [state(1), state(3, 'nobody')])),
  'connections that close right away': async (path) => {
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        Array.from({ length: 40 }, async () => {
          const socket = await visitor(path);
          socket.destroy();
        }),
      );
    }
  },
  'answers that nobody reads': async (path) => {
    const sockets = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const socket = await visitor(path);
        socket.pause();
        for (let n = 0; n < 5_000; n++) socket.write(state(2 * n + 1, n % 2 ? 'c' : 'nobody'));
        return socket;
      }),
    );
    await Promise.all(sockets.map((socket) => leave(socket, 'when it has an answer')));
  },
  'questions that are none': (path, chance) =>
    crowd(path, chance, 30, () => {
      const asks = ['G', 'GET', 'GET /state HTTP/1.0\r\n\r\n', 'GET /metrics\n', `GET /${'x'.repeat(20_000)}`];
      return [Buffer.from(chance.one(asks)), chance.bytes(chance.number(2) * 100)];
    }),
};

function privateKilobytes(pid: number): number {
  return Number(/^Private_Dirty:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1]);
}

/** Of the monitor. */
const has = ({ pid }: Shim): { kilobytes: number; descriptors: number } => ({
  kilobytes: privateKilobytes(pid),
  descriptors: descriptorsOf(pid).length,
});

/** Who has been there, and who comes anew. */
async function answers(lab: Lab, task: Task): Promise<void> {
  assert.deepEqual([(await task.state()).status, (await task.state()).pid], [STATUS.RUNNING, task.pid]);
  const other = await lab.connect(task.shim.address);
  assert.equal((await other.task.State({ id: 'c' })).pid, task.pid);
  other.client.close();
}

async function container(lab: Lab, env: Record<string, string>): Promise<Task> {
  const options = { stdout: '', stderr: '' };
  return running(lab, 'c', ['/bin/sleep', '1000'], options, { env: { HAWSER_ZYGOTE: '600', ...env } });
}

for (const [number, [name, attack]] of Object.entries(ATTACKS).entries())
  shimTest(
    `${name}: while the shim sleeps, while it is being woken, and while it is awake (seed ${SEED})`,
    async (lab) => {
      const chance = new Chance(SEED * 100 + number);
      const task = await container(lab, { HAWSER_SLEEP: '0.05' });
      const { shim } = task;
      await answers(lab, task);
      await asleep(shim);
      const before = has(shim);
      await attack(shim.socket, chance);
      await answers(lab, task);
      await asleep(shim);
      await Promise.all([answers(lab, task), attack(shim.socket, chance)]);
      await answers(lab, task);
      assert.ok(isAlive(shim.awake!));
      await attack(shim.socket, chance);
      await answers(lab, task);
      const { deaths } = await stateOf(shim);
      assert.deepEqual([deaths.times, deaths.irreplaceable], [undefined, undefined]);
      await eventually('the first client is left', async () => (await stateOf(shim)).connections === 1);
      await asleep(shim);
      // It has the ends of a worker that has just gone for a moment.
      await eventually('it has no more descriptors', () => has(shim).descriptors <= before.descriptors);
      const { kilobytes } = has(shim);
      assert.ok(kilobytes <= before.kilobytes + 64, `${kilobytes} kB, before ${before.kilobytes} kB`);
      assert.doesNotMatch(lab.log, TROUBLE);
      await end(lab, task);
    },
    only,
  );

shimTest(
  'hundreds that come while a worker is made for the first of them are all answered',
  async (lab) => {
    const task = await container(lab, { HAWSER_SLEEP: '0.05', HAWSER_ZYGOTE: 'off' });
    const { shim } = task;
    await asleep(shim);
    const sockets = await Promise.all(Array.from({ length: 600 }, () => visitor(shim.socket, state(1))));
    await Promise.all(sockets.map((socket) => within('an answer', once(socket, 'data'))));
    // As many as are accounted for, and others.
    await answers(lab, task);
    for (const socket of sockets) socket.destroy();
    await asleep(shim);
    assert.doesNotMatch(lab.log, TROUBLE);
    await end(lab, task);
  },
  only,
);

shimTest(
  `all of them, to one that is always awake: memory and descriptors are given back (seed ${SEED})`,
  async (lab) => {
    const chance = new Chance(SEED);
    const task = await container(lab, { HAWSER_SLEEP: 'off' });
    const { shim } = task;
    const all = async (): Promise<void> => {
      await Promise.all(Object.values(ATTACKS).map((attack) => attack(shim.socket, chance)));
      await answers(lab, task);
    };
    // What they leave for good, compiled code above all, is there after the first time.
    await all();
    const { worker } = shim;
    const descriptors = descriptorsOf(worker).length;
    const busy = privateKilobytes(worker);
    const rested = await eventually('memory is given back', () => {
      const now = privateKilobytes(worker);
      return now < busy - 1024 ? now : undefined;
    });
    const monitor = has(shim);
    await all();
    await eventually('memory is given back again', () => privateKilobytes(worker) < rested + 2048);
    assert.equal(shim.worker, worker, 'it has not died meanwhile');
    await eventually('so are descriptors', () => descriptorsOf(worker).length <= descriptors);
    assert.equal(has(shim).descriptors, monitor.descriptors);
    assert.ok(
      has(shim).kilobytes <= monitor.kilobytes + 64,
      `${has(shim).kilobytes} kB, before ${monitor.kilobytes} kB`,
    );
    assert.doesNotMatch(lab.log, TROUBLE);
    await end(lab, task);
  },
  only,
);
