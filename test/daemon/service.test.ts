/** The Tasks service, the container objects under it, and checkpoints on their way through the content store. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { containerd, ContainerdServicesTasksV1Tasks as Tasks, errdefs, google, pack } from '../../src/api/full.js';
import type { Call } from '../../src/daemon/grpc/service.js';
import type { Container, Metadata } from '../../src/daemon/metadata/types.js';
import { Runtimes } from '../../src/daemon/runtime/registry.js';
import { CHECKPOINT_TYPE, CONFIG_TYPE } from '../../src/daemon/tasks/checkpoint-image.js';
import { CheckpointStore } from '../../src/daemon/tasks/checkpoints.js';
import { ContainerRuntime } from '../../src/daemon/tasks/container.js';
import { tasksService } from '../../src/daemon/tasks/service.js';
import type { Handlers } from '../../src/ttrpc/handlers.js';
import type { MessageType } from '../../src/ttrpc/index.js';
import { Code } from '../../src/ttrpc/index.js';
import { eventually } from '../support/eventually.js';
import { labTest, refused, STATUS, type TaskLab } from '../support/task-lab.js';

type Service = Required<Handlers<typeof Tasks, Call>>;

/** A request as it comes from the wire. */
function made<Init, Message>(type: MessageType<Init, Message>, request: Init): Message {
  return type.decode(type.encode(request).finish());
}

/** The service over a lab, with records and content in memory. */
function serve(lab: TaskLab): {
  service: Service;
  runtime: ContainerRuntime;
  call: Call;
  record: (id: string, change?: Partial<Container>) => void;
  content: Map<string, Uint8Array>;
} {
  const records = new Map<string, Container>();
  const content = new Map<string, Uint8Array>();
  const metadata = {
    containers: {
      get: (_namespace: string, id: string) => {
        const record = records.get(id);
        if (record === undefined) throw errdefs.notFound(`container ${id}`);
        return record;
      },
    },
    content: {
      put: async (_namespace: string, _ref: string, data: Uint8Array | AsyncIterable<Uint8Array>) => {
        const parts: Uint8Array[] = [];
        if (data instanceof Uint8Array) parts.push(data);
        else for await (const part of data) parts.push(part);
        const bytes = Buffer.concat(parts);
        const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
        content.set(digest, bytes);
        return { digest, size: bytes.length };
      },
      open: (_namespace: string, digest: string) => {
        const bytes = content.get(digest);
        if (bytes === undefined) return Promise.reject(errdefs.notFound(`content ${digest}`));
        return Promise.resolve({
          size: bytes.length,
          read: (offset: number, length: number) => Promise.resolve(bytes.subarray(offset, offset + length)),
          close: () => Promise.resolve(),
        });
      },
    },
  } as unknown as Metadata;
  const runtime = new ContainerRuntime(
    lab.manager,
    new Runtimes({ shim: '/no/default' }),
    lab.exchange,
    new CheckpointStore(join(lab.dirs.root, '.checkpoints')),
  );
  const service = tasksService({ runtime, metadata, log: lab.log, temporary: join(lab.dir, 'temporary') })
    .handlers as Service;
  const call = {
    namespace: lab.namespace,
    signal: new AbortController().signal,
    lease: undefined,
    deadline: undefined,
  } as Call;
  const record = (id: string, change: Partial<Container> = {}): void =>
    void records.set(id, { id, spec: { type_url: 'spec', value: Buffer.from('{}') }, ...change });
  return { service, runtime, call, record, content };
}

const {
  CreateTaskRequest,
  GetRequest,
  ListTasksRequest,
  DeleteTaskRequest,
  DeleteProcessRequest,
  ExecProcessRequest,
  KillRequest,
  CheckpointTaskRequest,
  MetricsRequest,
  CloseIORequest,
  WaitRequest,
  StartRequest,
} = containerd.services.tasks.v1;

labTest('a task by the service', async (lab) => {
  const { service, call, record } = serve(lab);
  const killed: unknown[] = [];
  const { binary } = await lab.playShim({
    Start: () => ({ pid: 42 }),
    Kill: ({ signal, all }) => {
      killed.push([signal, all]);
      return {};
    },
    Stats: ({ id }) => {
      if (id === 'two') throw errdefs.notFound('gone');
      return { stats: { type_url: 'm', value: Buffer.from(id) } };
    },
    Wait: () => ({ exitStatus: 4 }),
  });
  record('one', { runtime: { name: binary } });
  record('two', { runtime: { name: '/not/this' } });
  assert.deepEqual(await service.Create(made(CreateTaskRequest, { containerId: 'one' }), call), {
    containerId: 'one',
    pid: 42,
  });
  await service.Create(made(CreateTaskRequest, { containerId: 'two', runtimePath: binary }), call);
  await refused(
    Promise.resolve(service.Create(made(CreateTaskRequest, { containerId: 'one' }), call)),
    Code.AlreadyExists,
    /^task one: already exists$/,
  );
  assert.deepEqual(await service.Start(made(StartRequest, { containerId: 'one' }), call), { pid: 42 });
  const { process } = await service.Get(made(GetRequest, { containerId: 'one' }), call);
  assert.deepEqual([process?.id, process?.pid, process?.status], ['one', 42, STATUS.RUNNING]);
  assert.deepEqual(
    (await service.List(made(ListTasksRequest, {}), call)).tasks?.map(({ id }) => id),
    ['one', 'two'],
  );
  assert.deepEqual((await service.List(made(ListTasksRequest, {}), { ...call, namespace: 'other' })).tasks, []);
  await service.Kill(made(KillRequest, { containerId: 'one', signal: 15, all: true }), call);
  assert.deepEqual(killed, [[15, true]]);
  assert.deepEqual(
    (await service.Metrics(made(MetricsRequest, { filters: ['id==one'] }), call)).metrics?.map(({ id, data }) => [
      id,
      Buffer.from(data!.value!).toString(),
    ]),
    [['one', 'one']],
  );
  assert.equal((await service.Metrics(made(MetricsRequest, {}), call)).metrics?.length, 1);
  await refused(
    Promise.resolve(service.Metrics(made(MetricsRequest, { filters: ['id=='] }), call)),
    Code.InvalidArgument,
    /filter/,
  );
  assert.equal((await service.Wait(made(WaitRequest, { containerId: 'one' }), call)).exitStatus, 4);
  for (const containerId of ['one', 'two'])
    assert.equal((await service.Delete(made(DeleteTaskRequest, { containerId }), call)).pid, 42);
  await refused(
    Promise.resolve(service.Get(made(GetRequest, { containerId: 'one' }), call)),
    Code.NotFound,
    /^task one not found/,
  );
});

labTest('what is not there, and what cannot be', async (lab) => {
  const { service, call, record } = serve(lab);
  const closed: string[] = [];
  const { binary } = await lab.playShim({
    State: ({ execId }) => {
      if (execId) throw errdefs.notFound(`process does not exist ${execId}`);
      return {};
    },
    CloseIO: ({ id }) => {
      closed.push(id);
      return {};
    },
  });
  record('c', { runtime: { name: binary } });
  await refused(
    Promise.resolve(service.Get(made(GetRequest, { containerId: 'x' }), call)),
    Code.NotFound,
    /^container x: not found$/,
  );
  await refused(
    Promise.resolve(service.Get(made(GetRequest, { containerId: 'c' }), call)),
    Code.NotFound,
    /^task c not found/,
  );
  await service.Create(made(CreateTaskRequest, { containerId: 'c' }), call);
  await refused(
    Promise.resolve(service.Exec(made(ExecProcessRequest, { containerId: 'c' }), call)),
    Code.InvalidArgument,
    /^exec id cannot be empty/,
  );
  await refused(
    Promise.resolve(service.Exec(made(ExecProcessRequest, { containerId: 'c', execId: '../e' }), call)),
    Code.InvalidArgument,
    /exec id/,
  );
  await refused(
    Promise.resolve(service.DeleteProcess(made(DeleteProcessRequest, { containerId: 'c' }), call)),
    Code.InvalidArgument,
    /exec id cannot be empty/,
  );
  await refused(
    Promise.resolve(service.CloseIO(made(CloseIORequest, { containerId: 'c', execId: 'e', stdin: true }), call)),
    Code.NotFound,
    /process does not exist e/,
  );
  await service.CloseIO(made(CloseIORequest, { containerId: 'c' }), call);
  assert.deepEqual(closed, []);
  await service.CloseIO(made(CloseIORequest, { containerId: 'c', stdin: true }), call);
  assert.deepEqual(closed, ['c']);
  record('d', { runtime: { name: '/no/such' } });
  await refused(
    Promise.resolve(service.Create(made(CreateTaskRequest, { containerId: 'd' }), call)),
    Code.Unknown,
    /binary not installed/,
  );
  record('e', { runtime: { name: 'nonsense' } });
  await refused(
    Promise.resolve(service.Create(made(CreateTaskRequest, { containerId: 'e' }), call)),
    Code.InvalidArgument,
    /runtime "nonsense" is unknown/,
  );
  await service.Delete(made(DeleteTaskRequest, { containerId: 'c' }), call);
});

labTest("options: the request's, else the container's, and those of the first runtime made one", async (lab) => {
  const { service, call, record } = serve(lab);
  const seen: (google.protobuf.Any.$Properties | null | undefined)[] = [];
  const { binary } = await lab.playShim({
    Create: ({ options }) => {
      seen.push(options);
      return { pid: 1 };
    },
  });
  const own = { type_url: 'own', value: Buffer.from('own') };
  const { RuncOptions, CreateOptions } = containerd.linux.runc;
  const legacy = pack('containerd.linux.runc.RuncOptions', RuncOptions, {
    runtime: '/usr/bin/crun',
    systemdCgroup: true,
  });
  for (const [containerOptions, options] of [
    [own, undefined],
    [own, { type_url: 'asked', value: Buffer.from('asked') }],
    [own, { type_url: 'empty' }],
    [legacy, pack('containerd.linux.runc.CreateOptions', CreateOptions, { ioUid: 5 })],
  ] as const) {
    record('c', { runtime: { name: binary, options: containerOptions } });
    await service.Create(made(CreateTaskRequest, { containerId: 'c', ...(options && { options }) }), call);
    await service.Delete(made(DeleteTaskRequest, { containerId: 'c' }), call);
  }
  assert.deepEqual(
    seen.slice(0, 3).map((any) => any?.type_url),
    ['own', 'asked', 'own'],
  );
  const { binaryName, systemdCgroup, ioUid } = containerd.runc.v1.Options.decode(seen[3]!.value!);
  assert.deepEqual(
    [seen[3]!.type_url, binaryName, systemdCgroup, ioUid],
    ['containerd.runc.v1.Options', '/usr/bin/crun', true, 5],
  );
});

labTest('a checkpoint goes to the content store and comes back', async (lab) => {
  const { service, call, record, content } = serve(lab);
  const restored: string[] = [];
  const { binary } = await lab.playShim({
    Checkpoint: ({ path }) => {
      mkdirSync(join(path, 'deep'));
      writeFileSync(join(path, 'pages.img'), Buffer.alloc(3_000_000, 7));
      writeFileSync(join(path, 'deep/inventory'), 'x', { mode: 0o640 });
      return {};
    },
    Create: ({ checkpoint }) => {
      restored.push(checkpoint);
      return { pid: 1 };
    },
  });
  record('c', { runtime: { name: binary } });
  await service.Create(made(CreateTaskRequest, { containerId: 'c' }), call);
  const { descriptors = [] } = await service.Checkpoint(made(CheckpointTaskRequest, { containerId: 'c' }), call);
  assert.deepEqual(
    descriptors!.map(({ mediaType, size }) => [
      mediaType,
      size === content.get(descriptors!.find((one) => one.mediaType === mediaType)!.digest!)!.length,
    ]),
    [
      [CHECKPOINT_TYPE, true],
      [CONFIG_TYPE, true],
    ],
  );
  assert.equal(google.protobuf.Any.decode(content.get(descriptors![1]!.digest!)!).type_url, 'spec');
  assert.deepEqual(readdirSync(join(lab.dir, 'temporary')), []);
  await eventually('the event', () => lab.story('c').includes('/tasks/checkpointed'));
  await service.Delete(made(DeleteTaskRequest, { containerId: 'c' }), call);

  await service.Create(made(CreateTaskRequest, { containerId: 'c', checkpoint: descriptors![0]! }), call);
  assert.equal(restored[1], join(lab.work('c'), 'restore'));
  assert.equal(readFileSync(join(restored[1], 'pages.img')).length, 3_000_000);
  assert.equal(readFileSync(join(restored[1], 'deep/inventory'), 'utf8'), 'x');
  await service.Delete(made(DeleteTaskRequest, { containerId: 'c' }), call);
  assert.ok(!existsSync(restored[1]));

  await refused(
    Promise.resolve(
      service.Create(made(CreateTaskRequest, { containerId: 'c', checkpoint: { mediaType: 'text/plain' } }), call),
    ),
    Code.InvalidArgument,
    /unsupported checkpoint type "text\/plain"/,
  );
  content.set('sha256:bad', Buffer.from('no tar at all'.repeat(100)));
  await assert.rejects(
    Promise.resolve(
      service.Create(
        made(CreateTaskRequest, { containerId: 'c', checkpoint: { mediaType: CHECKPOINT_TYPE, digest: 'sha256:bad' } }),
        call,
      ),
    ),
  );
  await refused(
    Promise.resolve(
      service.Create(
        made(CreateTaskRequest, {
          containerId: 'c',
          checkpoint: { mediaType: CHECKPOINT_TYPE, digest: 'sha256:none' },
        }),
        call,
      ),
    ),
    Code.NotFound,
    /content sha256:none/,
  );
  assert.deepEqual(lab.left(), []);
});

labTest('a checkpoint that is to be left in a directory', async (lab) => {
  const { service, call, record, content } = serve(lab);
  const paths: string[] = [];
  const { binary } = await lab.playShim({
    Checkpoint: ({ path }) => {
      paths.push(path);
      return {};
    },
  });
  record('c', { runtime: { name: binary } });
  await service.Create(made(CreateTaskRequest, { containerId: 'c' }), call);
  const options = pack('containerd.runc.v1.CheckpointOptions', containerd.runc.v1.CheckpointOptions, {
    imagePath: '/some/dir',
  });
  assert.deepEqual(
    (await service.Checkpoint(made(CheckpointTaskRequest, { containerId: 'c', options }), call)).descriptors,
    [],
  );
  assert.deepEqual([paths, content.size], [['/some/dir'], 0]);
  await service.Delete(made(DeleteTaskRequest, { containerId: 'c' }), call);
});

labTest('containers as objects: named checkpoints outlive the task and can be restored', async (lab) => {
  const { runtime } = serve(lab);
  const created: string[] = [];
  let healthy = true;
  const { binary } = await lab.playShim({
    Start: () => ({ pid: 42 }),
    Create: ({ checkpoint }) => {
      created.push(checkpoint);
      return { pid: 42 };
    },
    Pids: () => ({ processes: [{ pid: 42 }] }),
    Checkpoint: ({ path }) => {
      if (!healthy) throw errdefs.unknown('criu failed');
      writeFileSync(join(path, 'img'), 'i');
      return {};
    },
  });
  const options = { spec: {}, runtime: binary };
  const abort = new AbortController();
  const heard: string[] = [];
  const listening = (async () => {
    for await (const { topic } of runtime.events(abort.signal, lab.namespace)) heard.push(topic ?? '');
  })();
  const container = await runtime.create(lab.namespace, 'web', options);
  assert.equal(await container.start(), 42);
  assert.deepEqual(
    (await container.processes()).map(({ pid }) => pid),
    [42],
  );
  const first = await container.checkpoint('first', { exit: true });
  assert.equal(readFileSync(join(first.path, 'img'), 'utf8'), 'i');
  await assert.rejects(container.checkpoint('first'), /checkpoint first of container web: already exists/);
  healthy = false;
  await assert.rejects(container.checkpoint('second'), /criu failed/);
  await assert.rejects(container.checkpoint('../up'), /checkpoint name/);
  assert.deepEqual(
    container.checkpoints().map(({ name }) => name),
    ['first'],
  );
  await runtime.delete(container);
  assert.deepEqual(runtime.list(lab.namespace), []);
  await assert.rejects(
    runtime.restore(lab.namespace, 'web', 'second', options),
    /checkpoint second of container web: not found/,
  );
  const again = await runtime.restore(lab.namespace, 'web', 'first', options);
  assert.deepEqual(created, ['', first.path]);
  await again.deleteCheckpoint('first');
  assert.deepEqual(again.checkpoints(), []);
  await assert.rejects(again.deleteCheckpoint('first'), /not found/);
  assert.equal(runtime.get(lab.namespace, 'web').id, 'web');
  await runtime.delete(again);
  await eventually('the event', () => heard.includes('/tasks/checkpointed'));
  abort.abort();
  await listening;
});
