/** The order in which the ends of a container's processes are published, whatever happens meanwhile, in whatever order. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { containerd } from '../../src/api/gen/api.js';
import { Bundle } from '../../src/oci/bundle.js';
import { Observations } from '../../src/shim/observe/observations.js';
import type { ContainerRecord, ExecRecord } from '../../src/shim/record/record.js';
import { Container } from '../../src/shim/task/container.js';
import type { ShimContext } from '../../src/shim/task/context.js';
import { ScriptedMachine, ScriptedRuntime } from '../support/scripted-runtime.js';

const ID = 'c';
const SIGKILL = 9;
const EXECS = ['e0', 'e1'];

interface Published {
  /** `create`, `exit`, … */
  readonly topic: string;
  /** Of an exit or an exec: whose. */
  readonly of: string;
  /** The exit status that was on disk by then. */
  readonly onDisk: number | undefined;
  /** What an exit says. */
  readonly status: number;
}

/** One container, what was asked of it, and what it has published. */
class Lab {
  readonly dir = mkdtempSync(join(tmpdir(), 'hawser-order-'));
  readonly machine: ScriptedMachine;
  readonly container: Container;
  readonly published: Published[] = [];
  readonly record: ContainerRecord;
  readonly #bundle = new Bundle(this.dir);
  /** Of requests that have not been answered. */
  readonly #open = new Set<string>();
  /** Of Waits that have not been answered. */
  readonly #waiting = new Set<{ of: string; record: { state: string } | undefined }>();
  /** The Waits that have been answered, and with what. */
  readonly waited: { of: string; status: number }[] = [];
  phase: 'creating' | 'there' | 'failed' | 'deleted' = 'creating';
  /** The init's end came after a Delete of the container: there is no bundle to note it in. */
  endedDeleted = false;
  /** Times that the kernel has killed, and that could be known. */
  outOfMemory = 0;
  hasFailedExec = false;
  /** Errors of the shim's own making. */
  readonly defects: unknown[] = [];

  constructor({ shares, slow, checkpoint }: { shares: boolean; slow: boolean; checkpoint: boolean }) {
    this.machine = new ScriptedMachine(slow);
    this.record = newRecord(this.dir, shares, checkpoint);
    const init = { pid: 0 };
    const log = {
      debug: nothing,
      info: nothing,
      warn: nothing,
      error: (text: string, fields: unknown) => this.#note(text, fields),
    };
    const shim = {
      record: { namespace: 'n' },
      events: {
        publish: (topic: string, _type: string, bytes: Uint8Array) =>
          this.#publish(topic.replace('/tasks/', ''), bytes),
        isWaiting: () => false,
        prepare: () => undefined,
      },
      orphans: { adopting: (work: () => Promise<unknown>) => work() },
      log,
      observations: new Observations(),
      custom: {
        runtime: (_: ContainerRecord, signal: AbortSignal) => new ScriptedRuntime(this.machine, init, !shares, signal),
      },
      isRehearsal: false,
    } as unknown as ShimContext;
    this.container = new Container(this.record, shim, this.machine);
    this.#ask('Create', async () => {
      await this.container.create().then(
        () => (this.phase = 'there'),
        () => (this.phase = 'failed'),
      );
    });
  }

  #note(text: string, fields: unknown): void {
    this.defects.push([text, fields]);
  }

  #publish(topic: string, bytes: Uint8Array): undefined {
    const { TaskExit, TaskExecStarted } = containerd.events;
    const exit = topic === 'exit' ? TaskExit.decode(bytes) : undefined;
    this.published.push({
      topic,
      of: exit?.id ?? (topic === 'exec-started' ? TaskExecStarted.decode(bytes).execId : ''),
      onDisk: this.#bundle.tryExit()?.status,
      status: exit?.exitStatus ?? 0,
    });
  }

  #ask(name: string, request: () => Promise<unknown>): void {
    const key = `${name} ${this.#open.size} ${this.published.length}`;
    this.#open.add(key);
    // A refusal is an answer; a defect of the shim is not.
    void request()
      .catch((error: unknown) => {
        if (/a defect|TypeError/.test(String(error))) this.defects.push(error);
      })
      .finally(() => this.#open.delete(key));
  }

  get open(): string[] {
    return [...this.#open];
  }

  /** A request of a client, which can be made once the container is there, until it is deleted. */
  request(name: Request, exec: string): void {
    const { container } = this;
    if (name === 'abandon') {
      if (this.phase === 'creating') container.abandon();
      return;
    }
    if (this.phase !== 'there') return;
    const requests: Record<Exclude<Request, 'abandon'>, () => Promise<unknown>> = {
      start: () => container.start(),
      addExec: () => promised(() => container.addExec(newExec(exec))),
      startExec: () => promised(() => container.startExec(exec)),
      deleteExec: () => container.deleteExec(exec),
      kill: () => container.kill(SIGKILL, false),
      killExec: () => container.killExec(exec, SIGKILL),
      pause: () => container.pause(),
      resume: () => container.resume(),
      delete: () => container.delete().then(() => (this.phase = 'deleted')),
      wait: () => this.#wait(''),
      waitExec: () => this.#wait(exec),
    };
    this.#ask(name, requests[name]);
  }

  async #wait(exec: string): Promise<void> {
    const wait = { of: exec || ID, record: exec ? this.record.execs[exec] : this.record.init };
    this.#waiting.add(wait);
    try {
      const { exitStatus } = await this.container.wait(exec, new AbortController().signal);
      this.waited.push({ of: wait.of, status: exitStatus });
    } finally {
      this.#waiting.delete(wait);
    }
  }

  exit(pid: number, status: number): void {
    if (pid === this.record.init.pid && this.record.init.state === 'deleted') this.endedDeleted = true;
    this.machine.exit(pid, status);
  }

  /** All that is under way comes to its end, and nobody asks for anything more. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3;) {
      const { pending, dying } = this.machine;
      quiet = pending.length + dying.length > 0 ? 0 : quiet + 1;
      for (const one of [...pending]) one.succeed();
      for (const pid of dying) this.exit(pid, 128 + SIGKILL);
      await turn();
    }
  }

  /** What lives ends, and the container is deleted. */
  async end(): Promise<void> {
    await this.settle();
    const { machine, record } = this;
    if (machine.living.includes(record.init.pid)) {
      this.exit(record.init.pid, 3);
      await this.settle();
    }
    if (record.sharesPidNamespace) assert.deepEqual(machine.living, [], 'with the init all of the container ends');
    // The kernel ends them.
    for (const pid of machine.living) this.exit(pid, 128 + SIGKILL);
    await this.settle();
    for (const { of, record: process } of this.#waiting)
      assert.match(process!.state, /^created$|^restor/, `a Wait for ${of} goes on, though it has ended`);
    this.hasFailedExec = Object.values(record.execs).some(({ state }) => state === 'failed');
    this.request('delete', '');
    await this.settle();
    rmSync(this.dir, { recursive: true });
  }

  /** What holds at the end of every life. */
  check(): void {
    const { published, waited } = this;
    assert.deepEqual(this.defects, []);
    assert.deepEqual(this.open, [], 'every request is answered, every Wait too');
    assert.deepEqual([this.machine.pending, this.machine.living], [[], []], 'nothing is left');
    assert.equal(this.container.describe().activeExecs, 0);
    const at = (topic: string, of = ''): number[] =>
      published.flatMap((one, index) => (one.topic === topic && (of === '' || one.of === of) ? [index] : []));
    if (this.phase === 'failed') {
      assert.deepEqual(published, [], 'nothing is published of a create that failed');
      return;
    }
    assert.equal(this.phase, 'deleted');
    assert.deepEqual(at('create'), [0]);
    const exits = at('exit', ID);
    assert.equal(exits.length, this.record.init.exitedAt === undefined ? 0 : 1, "the init's exit, once");
    const [last = Infinity] = exits;
    for (const index of at('exit')) assert.ok(index <= last, "the init's exit comes last");
    for (const index of at('start')) assert.ok(index < last, 'the start comes before the exit');
    for (const index of at('oom')) assert.ok(index < last, 'out of memory comes before the exit');
    if (this.outOfMemory > 0) assert.ok(at('oom').length > 0, 'out of memory is published');
    else assert.deepEqual(at('oom'), []);
    const started = at('exec-started').map((index) => published[index]!.of);
    for (const exec of new Set([...started, ...EXECS])) {
      // One id may be used again after a delete.
      const begins = at('exec-started', exec);
      const ends = at('exit', exec);
      assert.equal(ends.length, begins.length, `the exit of ${exec}, once for each start`);
      begins.forEach((begin, n) => assert.ok(begin < ends[n]!, `${exec}: its start comes before its exit`));
    }
    for (const index of exits) {
      const { onDisk, status } = published[index]!;
      if (!this.endedDeleted) assert.equal(onDisk, status, 'the exit is on disk before it is published');
    }
    for (const { of, status } of waited)
      if (of === ID && exits.length > 0 && !this.endedDeleted) assert.equal(status, published[last]!.status);
  }
}

const nothing = (): void => undefined;

/** What it throws at once is an answer, too. */
function promised(request: () => unknown): Promise<unknown> {
  return new Promise((resolve) => resolve(request()));
}

type Request =
  | 'abandon'
  | 'start'
  | 'addExec'
  | 'startExec'
  | 'deleteExec'
  | 'kill'
  | 'killExec'
  | 'pause'
  | 'resume'
  | 'delete'
  | 'wait'
  | 'waitExec';

type Step =
  | { readonly do: 'request'; readonly name: Request; readonly exec: string }
  | { readonly do: 'settle'; readonly which: number; readonly well: boolean }
  | { readonly do: 'exit'; readonly which: number; readonly status: number }
  | { readonly do: 'oom'; readonly isTold: boolean }
  | { readonly do: 'turn' };

/** What is not followed by a turn of the loop happens in one turn. */
function take(lab: Lab, step: Step): Promise<void> | undefined {
  const { pending, living } = lab.machine;
  switch (step.do) {
    case 'request':
      lab.request(step.name, step.exec);
      break;
    case 'settle': {
      const one = pending[step.which % pending.length];
      if (step.well) one?.succeed();
      else one?.fail();
      break;
    }
    case 'exit': {
      const pid = living[step.which % living.length];
      if (pid !== undefined) lab.exit(pid, step.status);
      break;
    }
    case 'oom':
      if (lab.machine.outOfMemory(step.isTold)) lab.outOfMemory++;
      break;
    case 'turn':
      return turn();
  }
  return undefined;
}

const exec = fc.constantFrom(...EXECS);
const which = fc.nat(7);
const requests: fc.Arbitrary<Request> = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom<Request[]>('abandon', 'delete', 'deleteExec', 'killExec') },
  { weight: 2, arbitrary: fc.constantFrom<Request[]>('kill', 'pause', 'resume', 'wait', 'waitExec') },
  { weight: 4, arbitrary: fc.constantFrom<Request[]>('start', 'addExec', 'startExec') },
);
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('request' as const), name: requests, exec }) },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      which,
      well: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('exit' as const), which, status: fc.nat(255) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('oom' as const), isTold: fc.boolean() }) },
  { weight: 8, arbitrary: fc.constant({ do: 'turn' as const }) },
);
const kinds = fc.record({ shares: fc.boolean(), slow: fc.boolean(), checkpoint: fc.boolean() });
/** How far the container has come before chance sets in. */
const begins = fc.constantFrom<('nothing' | 'created' | 'exec')[]>('nothing', 'created', 'created', 'exec');

test('whatever happens, in whatever order: each exit is published once, in its place, and every Wait is answered', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(kinds, begins, fc.array(steps, { maxLength: 50, size: 'max' }), async (kind, begin, script) => {
      const lab = new Lab(kind);
      if (begin !== 'nothing') await lab.settle();
      if (begin === 'exec') {
        lab.request('start', '');
        await lab.settle();
        lab.request('addExec', EXECS[0]!);
        lab.request('startExec', EXECS[0]!);
        await turn();
      }
      for (const step of script) {
        const taken = take(lab, step);
        if (taken) await taken;
      }
      await lab.end();
      lab.check();
      for (const { topic } of lab.published) seen.add(topic);
      if (lab.phase === 'failed') seen.add('a failed create');
      if (lab.hasFailedExec) seen.add('a failed exec');
    }),
    { seed: 20, numRuns: 400 },
  );
  // Else the runs say little.
  assert.deepEqual([...seen].sort(), [
    'a failed create',
    'a failed exec',
    'create',
    'delete',
    'exec-added',
    'exec-started',
    'exit',
    'oom',
    'paused',
    'resumed',
    'start',
  ]);
});

test('a kill for want of memory in a container whose create fails is not published', async () => {
  const lab = new Lab({ shares: false, slow: false, checkpoint: false });
  await turn();
  lab.machine.pending[0]!.succeed();
  await turn();
  await turn();
  assert.equal(lab.machine.outOfMemory(true), true);
  const [attach] = lab.machine.pending;
  assert.equal(attach!.name, 'attach');
  attach!.fail();
  await lab.end();
  assert.equal(lab.phase, 'failed');
  assert.deepEqual(lab.published, []);
});

test('an exec that the runtime has made after the init has ended is killed, where it would live on', async () => {
  const lab = new Lab({ shares: true, slow: false, checkpoint: false });
  await lab.settle();
  lab.request('addExec', 'e0');
  lab.request('startExec', 'e0');
  await turn();
  lab.exit(lab.record.init.pid, 3);
  await turn();
  const [exec, kill] = lab.machine.pending;
  assert.deepEqual([exec!.name, kill!.name], ['exec', 'kill']);
  kill!.succeed();
  await turn();
  exec!.succeed();
  await turn();
  assert.deepEqual(lab.machine.dying, lab.machine.living);
  await lab.end();
  lab.check();
});

function newProcess(): Omit<ExecRecord, 'id' | 'state' | 'spec'> {
  return { pid: 0, stdin: '', stdout: '', stderr: '', terminal: false, stdinClosed: false, exitStatus: 0 };
}

function newExec(id: string): ExecRecord {
  return { id, state: 'created', spec: '{}', ...newProcess() };
}

function newRecord(bundle: string, sharesPidNamespace: boolean, checkpoint: boolean): ContainerRecord {
  return {
    id: ID,
    bundle,
    mounts: [],
    runtime: {
      binary: '',
      root: join(bundle, 'root'),
      systemdCgroup: false,
      criu: '',
      criuWorkPath: '',
      noPivotRoot: false,
      noNewKeyring: false,
      ioUid: 0,
      ioGid: 0,
    },
    checkpoint: checkpoint ? '/checkpoint' : '',
    parentCheckpoint: '',
    sharesPidNamespace,
    onLogDeath: '',
    cgroupsPath: '',
    cgroup: undefined,
    init: { state: 'creating', ...newProcess() },
    execs: {},
  };
}
