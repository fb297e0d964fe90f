/** Sandboxes that are shims, tasks that join them, and the service that clients call. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  ContainerdRuntimeSandboxV1Sandbox,
  ContainerdServicesSandboxV1Controller,
  ContainerdTaskV2Task,
} from '../../src/api/full.js';
import { Connection } from '../../src/client/grpc/connection.js';
import { ShimSandboxes } from '../../src/daemon/sandboxes/controller.js';
import { sandboxControllerService } from '../../src/daemon/sandboxes/service.js';
import type { SandboxController } from '../../src/daemon/sandboxes/types.js';
import type { Bootstrap } from '../../src/daemon/shims/answer.js';
import type { Task } from '../../src/daemon/tasks/task.js';
import { Code, connect } from '../../src/ttrpc/index.js';
import { stockDir } from '../support/daemons.js';
import { eventually, patiently } from '../support/eventually.js';
import { isAlive, removeCgroups } from '../support/machine.js';
import { call, failure, handlersOf, openRecords } from '../support/records.js';
import { makeSpec } from '../support/spec.js';
import { StoreDaemon } from '../support/store-daemon.js';
import { labTest, OWN_SHIM, refused, STATUS, type TaskLab } from '../support/task-lab.js';

const signal = new AbortController().signal;
const id = 'pod';

/** The controller beside a lab's tasks, in directories of its own. */
class Sandboxes {
  readonly dirs: { state: string; root: string };
  readonly recorded = new Set([id]);
  controller: ShimSandboxes;

  constructor(readonly lab: TaskLab) {
    this.dirs = { state: join(lab.dir, 'sandboxes', 'state'), root: join(lab.dir, 'sandboxes', 'root') };
    for (const dir of Object.values(this.dirs)) mkdirSync(dir, { recursive: true });
    this.controller = this.#new();
  }

  #new(): ShimSandboxes {
    const { launcher, log, timeouts, runtimeRoot } = this.lab.manager.options;
    return new ShimSandboxes({
      dirs: this.dirs,
      launcher,
      log,
      timeouts,
      runtimeRoot,
      runtime: (name) => ({ name, shim: name }),
      isRecorded: (_, name) => this.recorded.has(name),
      isTask: (namespace, name) => this.lab.manager.find(namespace, name) !== undefined,
    });
  }

  async create(name = id, shim = OWN_SHIM): Promise<void> {
    const spec = {
      type_url: 's',
      value: Buffer.from(JSON.stringify(makeSpec(['sleep', '1'], `${this.lab.cgroup}/${name}`))),
    };
    await this.controller.create(
      this.lab.namespace,
      {
        id: name,
        sandbox: { sandboxId: name, runtime: { name: shim }, spec },
        rootfs: [],
        options: null,
        netnsPath: '',
        annotations: {},
      },
      signal,
    );
  }

  /** As when the daemon dies and comes back. */
  async restart(): Promise<void> {
    this.controller.close();
    this.controller = this.#new();
    await this.controller.load();
  }

  get place(): Bootstrap {
    return this.controller.place(this.lab.namespace, id)!;
  }

  left(): string[] {
    return Object.values(this.dirs).flatMap((dir) =>
      readdirSync(dir).flatMap((namespace) => readdirSync(join(dir, namespace))),
    );
  }

  async join(task: string): Promise<Task> {
    return this.lab.run(task, { sandbox: { id, bootstrap: this.place } });
  }
}

async function pidAt({ address }: Bootstrap): Promise<number> {
  const client = await connect(address);
  await client.service(ContainerdRuntimeSandboxV1Sandbox).PingSandbox({});
  const { shimPid } = await client.service(ContainerdTaskV2Task).Connect({ id: 'x' });
  client.close();
  return shimPid;
}

const shimOf = async (task: Task): Promise<number> =>
  (await task.routed((shim) => shim.Connect({ id: task.id }))).shimPid;

async function end(lab: TaskLab, task: Task): Promise<void> {
  await task.kill(9, false);
  await task.wait();
  await lab.manager.delete(task);
}

labTest('a sandbox is a shim that tasks join and leave, and that outlives the daemon', async (lab) => {
  const sandboxes = new Sandboxes(lab);
  const { namespace } = lab;
  await sandboxes.create();
  await refused(sandboxes.create(), Code.AlreadyExists, /sandbox pod already running/);
  assert.equal((await sandboxes.controller.start(namespace, id)).pid, 0);
  assert.equal((await sandboxes.controller.platform(namespace, id)).platform?.os, 'linux');
  const pid = await pidAt(sandboxes.place);
  const first = await sandboxes.join('a');
  assert.equal(await shimOf(first), pid, 'no annotation says so');
  assert.equal(readFileSync(join(lab.bundle('a'), 'sandbox'), 'utf8'), id);
  await end(lab, first);
  assert.ok(isAlive(pid), 'its last task is not its end');
  await sandboxes.join('b');

  await lab.restart();
  await sandboxes.restart();
  const found = lab.manager.get(namespace, 'b');
  assert.equal((await found.process('', assert.fail)).status, STATUS.RUNNING);
  await end(lab, found);
  assert.ok(isAlive(pid));
  assert.ok((await sandboxes.controller.status(namespace, id, false)) !== undefined);
  assert.equal((await sandboxes.controller.wait(namespace, id, signal)).exitStatus, 0);
  await refused(sandboxes.controller.update(namespace, id, {}, []), Code.Unimplemented, /failed to update sandbox pod/);
  await sandboxes.controller.shutdown(namespace, id);
  await eventually('the shim to end', () => !isAlive(pid));
  await refused(sandboxes.controller.shutdown(namespace, id), Code.NotFound, /sandbox pod: it does not run/);
  await refused(sandboxes.controller.start(namespace, id), Code.NotFound, /does not run/);
  assert.equal(await sandboxes.controller.status(namespace, id, false), undefined);
  await sandboxes.controller.stop(namespace, id, 0);
  assert.throws(() => sandboxes.place, failure("can't find shim for sandbox pod: it does not run: not found"));
  assert.deepEqual([sandboxes.left(), lab.left()], [[], []]);
});

labTest(
  'the stop of a sandbox, or the death of its shim, is the end of it and of its tasks, and it can be made anew',
  async (lab) => {
    const sandboxes = new Sandboxes(lab);
    for (const how of ['stop', 'kill'] as const) {
      await sandboxes.create();
      const { address } = sandboxes.place;
      const pid = await pidAt(sandboxes.place);
      const init = (await (await sandboxes.join(how)).state()).pid!;
      if (how === 'stop') await sandboxes.controller.stop(lab.namespace, id, 1);
      else process.kill(pid, 'SIGKILL');
      await eventually(
        'all is gone',
        () =>
          !isAlive(pid) &&
          !isAlive(init) &&
          !sandboxes.controller.has(lab.namespace, id) &&
          lab.manager.find(lab.namespace, how) === undefined,
      );
      await eventually('nothing is left', () => sandboxes.left().length === 0 && lab.left().length === 0);
      assert.ok(!existsSync(address.replace('unix://', '')));
    }
  },
);

labTest('what is no sandbox leaves nothing, and a sandbox without a record goes at the next start', async (lab) => {
  const sandboxes = new Sandboxes(lab);
  // containerd 1.6's shim, and that of containerd 2, know nothing of sandboxes.
  await refused(
    sandboxes.create(id, join(stockDir, 'containerd-shim-runc-v2')),
    Code.Unimplemented,
    /failed to create sandbox pod/,
  );
  await refused(sandboxes.create(id, '/nowhere/shim'), Code.Unknown, /binary not installed/);
  await refused(sandboxes.create('../../../x'), Code.InvalidArgument, /must match/);
  await refused(sandboxes.create('a/b'), Code.InvalidArgument, /sandbox id "a\/b" must match/);
  const task = await lab.run(id);
  await refused(sandboxes.create(), Code.AlreadyExists, /a task has this id/);
  await end(lab, task);
  assert.deepEqual(sandboxes.left(), []);
  assert.equal(
    sandboxes.controller.place(lab.namespace, 'unknown'),
    undefined,
    'such a container gets a shim of its own',
  );

  await sandboxes.create();
  const pid = await pidAt(sandboxes.place);
  sandboxes.recorded.clear();
  await sandboxes.restart();
  await eventually('the shim to end', () => !isAlive(pid));
  assert.deepEqual(sandboxes.left(), []);

  sandboxes.recorded.add(id);
  await sandboxes.create();
  const dead = await pidAt(sandboxes.place);
  sandboxes.controller.close();
  process.kill(dead, 'SIGKILL');
  await eventually('it to die', () => !isAlive(dead));
  await sandboxes.restart();
  assert.ok(!sandboxes.controller.has(lab.namespace, id));
  assert.deepEqual(sandboxes.left(), []);
});

test('the service tells what happens, and serves clients that say less', async (t) => {
  const { sandboxes, published, publish } = openRecords(t);
  const runs = new Set<string>();
  const calls: unknown[] = [];
  const controller = {
    has: (_, name) => runs.has(name),
    create: (_, { id: name, sandbox }) => {
      runs.add(name);
      calls.push(['create', sandbox.runtime?.name]);
      return Promise.resolve();
    },
    start: () => Promise.resolve({ pid: 7, createdAt: null, spec: null }),
    stop: (_, name, seconds) => {
      runs.delete(name);
      calls.push(['stop', seconds]);
      return Promise.resolve();
    },
    wait: () => Promise.resolve({ exitStatus: 3, exitedAt: null }),
    status: () => Promise.resolve(undefined),
    shutdown: (_, name) => {
      calls.push(['shutdown', name]);
      return Promise.resolve();
    },
  } as Partial<SandboxController> as SandboxController;
  const service = handlersOf(
    sandboxControllerService({ controllers: new Map([['shim', controller]]), sandboxes, publish }),
    ContainerdServicesSandboxV1Controller,
  );
  const asked = <T>(given: object): T => ({ sandboxId: 's', sandboxer: '', fields: [], ...given }) as T;
  await assert.rejects(
    async () => service.Create(asked({ sandboxer: 'x' }), call()),
    /sandbox "s" in namespace "ns": not found/,
  );
  await sandboxes.create('ns', { sandboxId: 's', runtime: { name: 'recorded' } });
  await assert.rejects(
    async () => service.Create(asked({ sandboxer: 'x' }), call()),
    failure('sandbox controller "x": there are shim: not found'),
  );
  await service.Create(asked({ sandboxer: 'shim', sandbox: { runtime: { name: 'sent' } } }), call());
  const started = await service.Start(asked({ sandboxer: 'shim' }), call());
  assert.deepEqual([started.sandboxId, started.pid, started.createdAt], ['s', 7, {}]);
  assert.equal((await service.Wait(asked({}), call())).exitStatus, 3);
  await assert.rejects(
    async () => service.Update(asked({}), call()),
    failure('sandbox can not be nil: invalid argument'),
  );
  const status = await service.Status(asked({}), call());
  assert.deepEqual([status.sandboxId, status.state], ['s', undefined], 'one that does not run has no state');
  await service.Stop(asked({ timeoutSecs: 4 }), call());
  await service.Shutdown(asked({}), call());
  assert.deepEqual(
    calls.splice(0),
    [
      ['create', 'sent'],
      ['stop', 4],
    ],
    'what is stopped and has a record needs no shutdown',
  );
  await service.Start(asked({}), call());
  await service.Shutdown(asked({}), call());
  await service.Shutdown(asked({ sandboxId: 'none' }), call());
  assert.deepEqual(calls, [
    ['create', 'recorded'],
    ['shutdown', 's'],
    ['shutdown', 'none'],
  ]);
  assert.deepEqual(
    published.map(({ topic, event }) => [topic, event.sandboxId]),
    [
      ['/sandboxes/create', 's'],
      ['/sandboxes/start', 's'],
      ['/sandboxes/exit', 's'],
      ['/sandboxes/create', 's'],
      ['/sandboxes/start', 's'],
    ],
  );
});

test(
  'a container of a sandbox runs in its shim, and hawserd has both again when it comes back',
  { timeout: patiently(60_000) },
  async (t) => {
    const daemon = await StoreDaemon.start(t);
    const connection = new Connection(daemon.socket);
    t.after(() => connection.close());
    const namespace = `hawser-sandbox-${process.pid}`;
    const { sandboxes, sandboxControllers, containers, tasks } = connection.services(namespace);
    const spec = (name: string) => ({
      type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Spec',
      value: Buffer.from(JSON.stringify(makeSpec(['sleep', '1000'], `/${namespace}/${name}`))),
    });
    t.after(() => removeCgroups(`/${namespace}`));
    const runtime = { name: OWN_SHIM };
    await sandboxes.Create({ sandbox: { sandboxId: id, runtime, spec: spec(id), sandboxer: 'shim' } });
    await containers.Create({ container: { id: 'in', runtime, spec: spec('in'), sandbox: id } });
    await assert.rejects(tasks.Create({ containerId: 'in' }), /can't find shim for sandbox pod/);
    await sandboxControllers.Create({
      sandboxId: id,
      sandboxer: 'shim',
      sandbox: { sandboxId: id, runtime, spec: spec(id) },
    });
    await sandboxControllers.Start({ sandboxId: id, sandboxer: 'shim' });
    const bundle = (kind: string, name: string): string => join(daemon.dir, 'state', kind, namespace, name);
    const { address } = JSON.parse(
      readFileSync(join(bundle('io.containerd.sandbox.controller.v1.shim', id), 'bootstrap.json'), 'utf8'),
    ) as Bootstrap;
    const { pid } = await tasks.Create({ containerId: 'in' });
    assert.equal(
      (
        JSON.parse(
          readFileSync(join(bundle('io.containerd.runtime.v2.task', 'in'), 'bootstrap.json'), 'utf8'),
        ) as Bootstrap
      ).address,
      address,
    );
    await containers.Create({ container: { id, runtime, spec: spec('other') } });
    await assert.rejects(tasks.Create({ containerId: id }), /task pod: a sandbox has this id/);
    await daemon.kill('SIGKILL');
    await daemon.start();
    await tasks.Start({ containerId: 'in' });
    await tasks.Kill({ containerId: 'in', signal: 9 });
    await tasks.Wait({ containerId: 'in' });
    await tasks.Delete({ containerId: 'in' });
    assert.ok(!isAlive(pid));
    assert.equal((await sandboxControllers.Platform({ sandboxId: id })).platform?.os, 'linux');
    await sandboxControllers.Shutdown({ sandboxId: id, sandboxer: 'shim' });
    await eventually('the shim to end', () => !existsSync(address.replace('unix://', '')));
    await sandboxes.Delete({ sandboxId: id });
  },
);
