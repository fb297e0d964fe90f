/** The daemon's tasks without the daemon: a manager of shims, real ones or made up, with the exchange and the socket that they send events to. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { containerd, ContainerdTaskV2Task as TaskV2 } from '../../src/api/full.js';
import { EventExchange } from '../../src/daemon/events/exchange.js';
import { eventServices } from '../../src/daemon/events/service.js';
import type { Envelope } from '../../src/daemon/events/types.js';
import { TtrpcServer } from '../../src/daemon/grpc/ttrpc-server.js';
import { ShimLauncher } from '../../src/daemon/shims/launcher.js';
import { TaskManager } from '../../src/daemon/tasks/manager.js';
import type { TaskRequest } from '../../src/daemon/tasks/request.js';
import { NO_IO } from '../../src/daemon/tasks/container.js';
import type { Task } from '../../src/daemon/tasks/task.js';
import { DEFAULT_TIMEOUTS, type Timeouts } from '../../src/daemon/tasks/timeouts.js';
import { Code, Server, TtrpcError } from '../../src/ttrpc/index.js';
import type { Handlers } from '../../src/ttrpc/handlers.js';
import { patiently } from './eventually.js';
import { quietly, removeCgroups, zygotesIn } from './machine.js';
import { makeSpec, type TestSpec } from './spec.js';

export const OWN_SHIM =
  process.env.HAWSER_TEST_SHIM || fileURLToPath(new URL('../../bin/containerd-shim-runc-v2', import.meta.url));
export const STATUS = containerd.v1.types.Status;

let labs = 0;

/** A test with a lab of its own, which is taken down after it. */
export function labTest(name: string, body: (lab: TaskLab) => Promise<void>, timeoutMs = 60_000): void {
  test(name, { timeout: patiently(timeoutMs) }, async (t) => {
    const lab = await TaskLab.open();
    try {
      await body(lab);
    } catch (error) {
      t.diagnostic(lab.logged.map((line) => JSON.stringify(line)).join('\n'));
      throw error;
    } finally {
      await lab.close();
    }
  });
}

/** Asserts that a call fails with this code and a text that matches. */
export async function refused(call: Promise<unknown>, code: Code, text: RegExp): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof TtrpcError, String(error));
    assert.match(error.message, text);
    assert.equal(Code[error.code], Code[code], error.message);
    return true;
  });
}

export class TaskLab {
  readonly namespace = `hawser-tasks-${process.pid}-${++labs}`;
  readonly cgroup = `/${this.namespace}`;
  readonly dir = mkdtempSync(join(tmpdir(), 'hawser-tasks-'));
  readonly dirs = { state: join(this.dir, 'state'), root: join(this.dir, 'root') };
  readonly exchange = new EventExchange();
  readonly seen: Envelope[] = [];
  /** What the daemon logs. */
  readonly logged: Record<string, unknown>[] = [];
  readonly #stop = new AbortController();
  readonly #servers: Server[] = [];
  readonly #managers: TaskManager[] = [];
  #listener: NetServer | undefined;
  #ttrpc: TtrpcServer | undefined;
  manager!: TaskManager;

  readonly log = pino(
    { level: 'trace' },
    { write: (line: string) => void this.logged.push(JSON.parse(line) as Record<string, unknown>) },
  );

  static async open(timeouts: Partial<Timeouts> = {}): Promise<TaskLab> {
    const lab = new TaskLab();
    // Shims get this process's environment; their zygotes are to be this lab's.
    process.env.HAWSER_RUN_DIR = lab.dir;
    for (const dir of Object.values(lab.dirs)) mkdirSync(dir);
    await lab.listen();
    void lab.#watch();
    lab.manager = lab.newManager(timeouts);
    return lab;
  }

  /** The daemon's ttrpc socket is there. */
  async listen(): Promise<void> {
    this.#ttrpc = new TtrpcServer({ log: this.log });
    for (const service of eventServices(this.exchange).ttrpc ?? []) this.#ttrpc.add(service, 'test');
    rmSync(join(this.dir, 'd.sock.ttrpc'), { force: true });
    const ttrpc = this.#ttrpc;
    const listener = createServer((socket) => void ttrpc.accept(socket)).listen(join(this.dir, 'd.sock.ttrpc'));
    this.#listener = listener;
    await once(listener, 'listening');
  }

  /** And now it is not. */
  async deafen(): Promise<void> {
    await this.#ttrpc?.close(100);
    this.#listener?.close();
  }

  newManager(timeouts: Partial<Timeouts> = {}): TaskManager {
    const all = { ...DEFAULT_TIMEOUTS, ...timeouts };
    const manager = new TaskManager({
      dirs: this.dirs,
      runtimeRoot: join(this.dir, 'runc'),
      events: this.exchange,
      log: this.log,
      timeouts: all,
      recordedRuntime: () => undefined,
      launcher: new ShimLauncher({
        address: join(this.dir, 'd.sock'),
        ttrpcAddress: join(this.dir, 'd.sock.ttrpc'),
        publishBinary: '/bin/true',
        search: { first: [], path: process.env.PATH ?? '', last: [] },
        debug: true,
        env: { LAB_VARIABLE: 'a=b' },
        startMs: all.start,
        cleanupMs: all.cleanup,
      }),
    });
    this.#managers.push(manager);
    return manager;
  }

  /** As when the daemon dies and comes back: another manager finds what the last one had. */
  async restart(
    timeouts: Partial<Timeouts> = {},
    meanwhile: () => Promise<void> = () => Promise.resolve(),
  ): Promise<TaskManager> {
    this.manager.close();
    await this.deafen();
    await meanwhile();
    await this.listen();
    this.manager = this.newManager(timeouts);
    await this.manager.load();
    return this.manager;
  }

  request(
    id: string,
    options: Partial<TaskRequest> & { shim?: string; args?: string[]; change?: (spec: TestSpec) => void } = {},
  ): TaskRequest {
    const { shim = OWN_SHIM, args = ['sleep', '1000'], change, ...rest } = options;
    const spec = makeSpec(args, `${this.cgroup}/${id}`);
    change?.(spec);
    return {
      namespace: this.namespace,
      id,
      spec: Buffer.from(JSON.stringify(spec)),
      runtime: { name: shim, shim },
      rootfs: [],
      io: NO_IO,
      ...rest,
    };
  }

  async run(id: string, options?: Parameters<TaskLab['request']>[1]): Promise<Task> {
    const { task } = await this.manager.create(this.request(id, options));
    await task.start();
    return task;
  }

  bundle(id: string): string {
    return join(this.dirs.state, this.namespace, id);
  }
  work(id: string): string {
    return join(this.dirs.root, this.namespace, id);
  }

  /** A shim of a few lines of shell, told its action as `$action`. */
  script(body: string, deleted = `printf '\\020\\211\\001'`): string {
    const file = join(this.dir, `shim-${Math.random().toString(36).slice(2)}`);
    writeFileSync(
      file,
      `#!/bin/sh\nfor action; do :; done\necho "$*" >>${file}.calls\nif [ "$action" = delete ]; then ${deleted}; exit; fi\n${body}\n`,
    );
    chmodSync(file, 0o755);
    return file;
  }

  /** A shim that this process plays; gives its binary and a way to hang up on the daemon. */
  async playShim(
    handlers: Handlers<typeof TaskV2>,
    options: { answer?: (address: string) => string; deleted?: string } = {},
  ): Promise<{ binary: string; die: () => void }> {
    const socket = join(this.dir, `s${this.#servers.length}.sock`);
    const server = new Server();
    server.add(TaskV2, {
      Connect: () => ({ taskPid: 42 }),
      Create: () => ({ pid: 42 }),
      Shutdown: () => ({}),
      Delete: () => ({ pid: 42 }),
      State: () => ({ pid: 42, status: STATUS.RUNNING }),
      ...handlers,
    });
    this.#servers.push(server);
    await server.serve(createServer().listen(socket));
    const answer = options.answer?.(`unix://${socket}`) ?? `unix://${socket}`;
    return { binary: this.script(`printf '%s' '${answer}'`, options.deleted), die: () => server.close() };
  }

  /** The events of a container, as `topic id status`. */
  story(id: string): string[] {
    return this.seen.flatMap(({ topic, event }) => {
      const body = containerd.events.TaskExit.decode(event?.value ?? new Uint8Array());
      return body.containerId === id
        ? [`${topic}${topic === '/tasks/exit' ? ` ${body.id} ${body.exitStatus}` : ''}`]
        : [];
    });
  }

  async close(): Promise<void> {
    for (const task of this.manager.list()) {
      await task.kill(9, true, '', { timeoutMs: 5_000 }).catch(() => undefined);
      await Promise.race([task.wait(), new Promise((resolve) => setTimeout(resolve, 5_000).unref())]).catch(
        () => undefined,
      );
      await this.manager.delete(task).catch(() => undefined);
    }
    for (const manager of this.#managers) manager.close();
    for (const server of this.#servers) server.close();
    await this.deafen();
    // A zygote waits for some minutes.
    for (const pid of zygotesIn(this.dir)) quietly(() => process.kill(pid));
    this.#stop.abort();
    removeCgroups(this.cgroup);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 3 });
  }

  /** Names of what is left in the directories of tasks. */
  left(): string[] {
    return Object.values(this.dirs).flatMap((dir) =>
      readdirSync(dir).flatMap((namespace) => readdirSync(join(dir, namespace))),
    );
  }

  async #watch(): Promise<void> {
    for await (const envelope of this.exchange.subscribe([], this.#stop.signal)) this.seen.push(envelope);
  }
}
