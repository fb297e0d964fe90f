/**
 * Drives the built shim as containerd does: `start`, ttrpc calls, `delete`, with real runc below it. HAWSER_TEST_SHIM
 * names another shim to run the same tests against, such as containerd's own.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  constants,
  openSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  containerd,
  ContainerdTaskV2Task as TaskV2,
  ContainerdTaskV3Task as TaskV3,
  pack,
  type google,
} from '../../src/api/index.js';
import { makeFifo } from '../../src/sys/index.js';
import { connect, TtrpcError, type Client, type Code, type ServiceClient } from '../../src/ttrpc/index.js';
import { shimDir } from './daemons.js';
import { eventually, patiently, within } from './eventually.js';
import { FakeDaemon } from './fake-daemon.js';
import { FifoReader, FifoWriter } from './fifo-client.js';
import {
  allProcesses,
  cgroupDirs,
  cgroupsBelow,
  descriptorsOf,
  isAlive,
  mountsBelow,
  processInfo,
  type ProcessInfo,
  processesOf,
  quietly,
  removeCgroups,
  thaw,
  zombiesOf,
} from './machine.js';
import { runtimePath, runtimeProgram } from './runtime.js';
import type { RuntimeCommand } from './faults.js';
import { makeProcess, makeSpec, type TestProcess, type TestSpec } from './spec.js';

export const SHIM = process.env.HAWSER_TEST_SHIM || join(shimDir, 'containerd-shim-runc-v2');
/** For tests of what we do otherwise than the Go shim, on purpose (contract §8.4). */
export const hawserOnly = process.env.HAWSER_TEST_SHIM ? 'only Hawser does this' : false;
export const STATUS = containerd.task.v2.Status;

export type Options = containerd.runc.v1.Options.$Properties;
type CreateRequest = containerd.task.v2.CreateTaskRequest.$Properties;
type TaskService = ServiceClient<typeof TaskV2>;

const CALL_MS = patiently(60_000);
let labs = 0;

/** A test with a lab of its own, which is taken down after it. */
export function shimTest(
  name: string,
  body: (lab: Lab) => Promise<void>,
  options: { skip?: string | false; timeout?: number } = {},
): void {
  test(name, { ...options, timeout: patiently(options.timeout ?? 60_000) }, async (t: TestContext) => {
    const lab = await Lab.open();
    try {
      await body(lab);
    } catch (error) {
      if (lab.log) t.diagnostic(`the shim's log:\n${lab.log}`);
      t.diagnostic(`events: ${lab.daemon.story().join(', ')}`);
      throw error;
    } finally {
      await lab.close();
    }
  });
}

/** Asserts that a call fails with this code and exactly this text, or a text that matches. */
export async function fails(call: Promise<unknown>, code: Code, text: string | RegExp): Promise<void> {
  let result: unknown;
  try {
    result = await call;
  } catch (error) {
    if (!(error instanceof TtrpcError)) throw error;
    if (typeof text === 'string') assert.equal(error.message, text);
    else assert.match(error.message, text);
    assert.equal(error.code, code, `code of ${error.message}`);
    return;
  }
  assert.fail(`the call succeeded with ${JSON.stringify(result)}`);
}

export interface ActionResult {
  status: number | null;
  stdout: Buffer;
  stderr: string;
}

export interface ActionOptions {
  stdin?: Uint8Array;
  env?: Record<string, string | undefined>;
  namespace?: string;
  debug?: boolean;
  /** Another shim than the one under test. */
  binary?: string;
}

/** A private place to run shims in. */
export class Lab {
  readonly namespace = 'hawser-test';
  readonly daemon: FakeDaemon;
  readonly cgroup: string;
  readonly runcRoot: string;
  readonly grpcAddress: string;
  /** Where zygotes wait. */
  readonly runDir: string;
  readonly sockets = new Set<string>();
  readonly #clients: Client[] = [];
  readonly #closers: (() => void | Promise<void>)[] = [];
  readonly #logs: string[] = [];
  readonly #logReaders: Socket[] = [];
  #fakes = 0;

  private constructor(readonly dir: string) {
    this.cgroup = `/hawser-test-${process.pid}-${++labs}`;
    this.runcRoot = join(dir, 'runc');
    this.runDir = join(dir, 'run');
    this.grpcAddress = join(dir, 'containerd.sock');
    this.daemon = new FakeDaemon(`${this.grpcAddress}.ttrpc`);
    for (const sub of ['bundles', 'fifos', 'tmp']) mkdirSync(join(dir, sub));
  }

  static async open(): Promise<Lab> {
    const lab = new Lab(mkdtempSync(join(tmpdir(), 'hawser-shim-')));
    await lab.daemon.start();
    return lab;
  }

  /** What shims of this lab have logged. */
  get log(): string {
    return this.#logs.join('');
  }

  /** As when the daemon hangs: its end stays open. */
  stopReadingLogs(): void {
    for (const reader of this.#logReaders) reader.pause();
  }

  bundlePath(id: string): string {
    return join(this.dir, 'bundles', id);
  }

  defer(work: () => void | Promise<void>): void {
    this.#closers.push(work);
  }

  /** Makes a bundle as the daemon does. */
  bundle(
    id: string,
    args: readonly string[] = ['/bin/sleep', '1000'],
    edit: (spec: TestSpec) => void = () => undefined,
  ): string {
    const path = this.bundlePath(id);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const spec = makeSpec(args, `${this.cgroup}/${id}`);
    edit(spec);
    writeFileSync(join(path, 'config.json'), JSON.stringify(spec));
    if (!existsSync(join(path, 'log'))) {
      makeFifo(join(path, 'log'), 0o700);
      const reader = new Socket({
        fd: openSync(join(path, 'log'), constants.O_RDWR | constants.O_NONBLOCK),
        readable: true,
        writable: false,
      });
      reader.on('data', (chunk: Buffer) => this.#logs.push(chunk.toString('utf8')));
      this.#logReaders.push(reader);
      this.defer(() => void reader.destroy());
    }
    return path;
  }

  /** Runs the shim's binary to its end. */
  async run(
    args: readonly string[],
    { cwd = this.dir, stdin, env, binary = SHIM }: ActionOptions & { cwd?: string } = {},
  ): Promise<ActionResult> {
    const zygotes = env?.HAWSER_ZYGOTE ?? process.env.HAWSER_TEST_ZYGOTE ?? 'off';
    const child = spawn(binary, args, {
      // A zygote is only taken within the session that it was left in.
      cwd,
      detached: zygotes === 'off',
      stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        GOMAXPROCS: '2',
        MAX_SHIM_VERSION: '2',
        TTRPC_ADDRESS: this.daemon.path,
        GRPC_ADDRESS: this.grpcAddress,
        // Most tests want a shim that was started for them; HAWSER_TEST_ZYGOTE=600 runs them all with zygotes.
        HAWSER_ZYGOTE: zygotes,
        // And one that is there to be looked at: sleep.test.ts is about the others.
        HAWSER_SLEEP: process.env.HAWSER_TEST_SLEEP ?? 'off',
        HAWSER_RUN_DIR: this.runDir,
        NAMESPACE: this.namespace,
        TMPDIR: join(this.dir, 'tmp'),
        PATH: runtimePath(this.dir),
        HAWSER_TEST_RUNC: undefined,
        XDG_RUNTIME_DIR: undefined,
        ...env,
      },
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout!.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr!.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin?.on('error', () => undefined).end(stdin);
    // 'close' comes when nobody holds the output any more: a shim that kept it would hang containerd.
    const status = await within(
      `the end of ${args.join(' ')}`,
      new Promise<number | null>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', resolve);
      }),
    );
    return { status, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString('utf8') };
  }

  flags(id: string, options: ActionOptions = {}): string[] {
    return [
      '-namespace',
      options.namespace ?? this.namespace,
      '-address',
      this.grpcAddress,
      '-publish-binary',
      '/bin/false',
      '-id',
      id,
      ...(options.debug === false ? [] : ['-debug']),
    ];
  }

  startAction(id: string, options: ActionOptions = {}): Promise<ActionResult> {
    return this.run([...this.flags(id, options), 'start'], { cwd: this.bundlePath(id), ...options });
  }

  /** Starts, or joins, the shim for a container whose bundle is there, and connects. */
  async shim(id: string, options: ActionOptions = {}): Promise<Shim> {
    const { status, stdout, stderr } = await this.startAction(id, options);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    return this.connect(addressIn(stdout));
  }

  async connect(address: string): Promise<Shim> {
    assert.match(address, /^unix:\/\//);
    this.sockets.add(address.slice('unix://'.length));
    const client = await connect(address, { metadata: { 'containerd-namespace-ttrpc': this.namespace } });
    this.#clients.push(client);
    const task = withTimeout(client.service(TaskV2));
    const { shimPid } = await task.Connect({ id: 'x' });
    return new Shim(this, address, shimPid, client, task);
  }

  /** Bundle, shim and Create in one. */
  async task(id: string, args?: readonly string[], options: TaskOptions = {}): Promise<Task> {
    this.bundle(id, args, options.edit);
    return (await this.shim(id)).create(id, options);
  }

  async deleteAction(
    id: string,
    options: ActionOptions = {},
  ): Promise<ActionResult & { response: containerd.task.v2.DeleteResponse }> {
    const result = await this.run([...this.flags(id, options), '-bundle', this.bundlePath(id), 'delete'], {
      cwd: this.bundlePath(id),
      ...options,
    });
    return { ...result, response: containerd.task.v2.DeleteResponse.decode(result.stdout) };
  }

  options(options: Options = {}): google.protobuf.Any.$Properties {
    return pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { root: this.runcRoot, ...options });
  }

  fifo(name: string): string {
    const path = join(this.dir, 'fifos', name);
    makeFifo(path, 0o700);
    return path;
  }

  /** A client's reader that is gone when the lab is. */
  reader(path: string): FifoReader {
    const reader = new FifoReader(path);
    this.defer(() => reader.close());
    return reader;
  }

  /** FIFOs for a process, with readers on those it writes to. */
  stdio(name: string, { terminal = false, stdin, stdout, stderr }: StdioOptions = {}): TestStdio {
    const paths = {
      stdin: stdin === undefined ? '' : stdin === true ? this.fifo(`${name}-stdin`) : stdin,
      stdout: stdout ?? this.fifo(`${name}-stdout`),
      stderr: stderr ?? (terminal ? '' : this.fifo(`${name}-stderr`)),
      terminal,
    };
    const out = stdout === undefined ? this.reader(paths.stdout) : undefined;
    const err = stderr === undefined && !terminal ? this.reader(paths.stderr) : undefined;
    return new TestStdio(this, paths, out, err);
  }

  /**
   * A stand-in for runc: a shell script, with `$runc` as the real one, `$command` as the command that is run, and
   * `$pid_file` and `$log` as its arguments. What it can do wrong is in faults.ts.
   */
  fakeRunc(name: string, script: string): string {
    const path = join(this.dir, name);
    writeFileSync(
      path,
      `#!/bin/sh
runc=${runtimeProgram(this.dir)}
lab=${this.dir}
command=
skip=
for word; do
  if [ -n "$skip" ]; then skip=; continue; fi
  case $word in
    --root|--log|--log-format) skip=1;;
    -*) ;;
    *) command=$word; break;;
  esac
done
previous=
for word; do
  case $previous in
    --pid-file) pid_file=$word;;
    --log) log=$word;;
  esac
  previous=$word
done
${script}
exec "$runc" "$@"
`,
      { mode: 0o755 },
    );
    return path;
  }

  /** A stand-in for runc that does some commands in its own way, see faults.ts. */
  faultyRunc(faults: Partial<Record<RuntimeCommand, string>>): string {
    const cases = Object.entries(faults)
      .map(([command, script]) => `${command})\n${script};;`)
      .join('\n');
    return this.fakeRunc(`runc-faulty-${++this.#fakes}`, `case $command in\n${cases}\nesac`);
  }

  /** Everything on the machine that is this lab's doing. */
  snapshot(): Snapshot {
    // A zygote is there for the next container, and may be rehearsing one.
    const isZygotes = /^hawser-zygote rehearsal| zygote (next )?\/|\/hawser-stand-in /;
    const all = processesOf(this.dir, this.cgroup).filter(({ command }) => !isZygotes.test(command));
    const isShim = ({ command }: ProcessInfo): boolean => command.includes(' -publish-binary ');
    return {
      // With its shim a worker goes.
      processes: all
        .filter(({ command }) => !command.startsWith('hawser-worker ') || !all.some(isShim))
        .map(({ pid, command }) => `${pid} ${command}`),
      zombies: zombiesOf(process.pid).map(({ pid, name }) => `${pid} ${name}`),
      mounts: mountsBelow(this.dir),
      cgroups: cgroupsBelow(this.cgroup),
      sockets: [...this.sockets].filter((path) => existsSync(path)),
      temporary: readdirSync(join(this.dir, 'tmp')),
      runtime: existsSync(this.runcRoot)
        ? readdirSync(this.runcRoot).flatMap((ns) => readdirSync(join(this.runcRoot, ns)))
        : [],
    };
  }

  /** All shims have been shut down: nothing of them is left, or is about to go. */
  async assertNothingLeft(): Promise<void> {
    const isEmpty = (): boolean => (Object.values(this.snapshot()) as string[][]).every((list) => list.length === 0);
    await eventually('nothing is left', isEmpty).catch(() => undefined);
    const nothing: Snapshot = {
      processes: [],
      zombies: [],
      mounts: [],
      cgroups: [],
      sockets: [],
      temporary: [],
      runtime: [],
    };
    assert.deepEqual(this.snapshot(), nothing);
  }

  /** Takes everything down by force, whatever state it is in. */
  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    for (const work of this.#closers.reverse()) await work();
    const killAll = (): boolean => {
      const found = processesOf(this.dir, this.cgroup).filter(({ state }) => state !== 'Z');
      if (found.length > 0) thaw(this.cgroup);
      for (const { pid } of found) quietly(() => process.kill(pid, 'SIGKILL'));
      return found.length === 0;
    };
    await eventually('all processes of the lab are gone', killAll);
    for (const namespace of quietly(() => readdirSync(this.runcRoot)) ?? []) {
      for (const id of readdirSync(join(this.runcRoot, namespace))) {
        spawnSync(runtimeProgram(this.dir), ['--root', join(this.runcRoot, namespace), 'delete', '--force', id], {
          stdio: 'ignore',
          timeout: 10_000,
        });
      }
    }
    for (const point of mountsBelow(this.dir).reverse())
      spawnSync('umount', ['-l', point], { stdio: 'ignore', timeout: 10_000 });
    await eventually('the cgroups are gone', () => {
      removeCgroups(this.cgroup);
      return cgroupDirs(this.cgroup).length === 0;
    }).catch(() => undefined);
    for (const socket of this.sockets) rmSync(socket, { force: true });
    this.daemon.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export interface Snapshot {
  processes: string[];
  zombies: string[];
  mounts: string[];
  cgroups: string[];
  sockets: string[];
  temporary: string[];
  runtime: string[];
}

export interface StdioOptions {
  terminal?: boolean | undefined;
  /** True for a FIFO; a text is taken as it is. */
  stdin?: true | string | undefined;
  /** A FIFO with a reader unless given. */
  stdout?: string | undefined;
  stderr?: string | undefined;
}

export interface TaskOptions extends StdioOptions {
  edit?: ((spec: TestSpec) => void) | undefined;
  /** Runtime options; the lab's root is added. */
  options?: Options;
  request?: Partial<CreateRequest>;
  stdio?: TestStdio;
}

export class TestStdio {
  constructor(
    private readonly lab: Lab,
    readonly paths: { stdin: string; stdout: string; stderr: string; terminal: boolean },
    readonly out: FifoReader | undefined,
    readonly err: FifoReader | undefined,
  ) {}

  /** The client's end of stdin; the shim must have opened its own. */
  async input(): Promise<FifoWriter> {
    const writer = await FifoWriter.open(this.paths.stdin);
    this.lab.defer(() => writer.close());
    return writer;
  }
}

/** A serving shim and a connection to it. */
export class Shim {
  readonly socket: string;

  constructor(
    readonly lab: Lab,
    readonly address: string,
    readonly pid: number,
    readonly client: Client,
    readonly task: TaskService,
  ) {
    this.socket = address.slice('unix://'.length);
  }

  /** The process that answers: the shim's own where it has no worker, as the Go shim's; undefined while it sleeps. */
  get awake(): number | undefined {
    const worker = allProcesses().find(
      ({ command, state }) => /^hawser-worker \S+ (\d+)$/.exec(command)?.[1] === String(this.pid) && state !== 'Z',
    );
    if (worker) return worker.pid;
    return processInfo(this.pid)?.command.includes('shim.cjs') || hawserOnly !== false ? this.pid : undefined;
  }

  get worker(): number {
    const { awake } = this;
    assert.ok(awake !== undefined, 'the shim has a worker');
    return awake;
  }

  get v3(): ServiceClient<typeof TaskV3> {
    return withTimeout(this.client.service(TaskV3));
  }

  /** Creates a container whose bundle is there, or is made now. */
  async create(id: string, options: TaskOptions = {}): Promise<Task> {
    const stdio = options.stdio ?? this.lab.stdio(id, options);
    const { pid } = await this.task.Create({
      id,
      bundle: this.lab.bundlePath(id),
      ...stdio.paths,
      options: this.lab.options(options.options),
      ...options.request,
    });
    return new Task(this, id, pid, stdio);
  }

  /** A container more in this shim. */
  add(id: string, args?: readonly string[], options: TaskOptions = {}): Promise<Task> {
    this.lab.bundle(id, args, options.edit);
    return this.create(id, options);
  }

  /** Descriptors it has open, without numbers: order and reuse don't matter. */
  descriptors(): string[] {
    // A thread of the shim has its cgroup open for a moment when something is to be made (src/sys/migration.c).
    return descriptorsOf(this.worker)
      .filter((line) => !line.endsWith('/cgroup.procs'))
      .map((line) => line.replace(/^\d+ /, '').replace(/:\[\d+\]$/, ''))
      .sort();
  }

  get isAlive(): boolean {
    return isAlive(this.pid) || (hawserOnly === false && this.awake !== undefined);
  }

  gone(): Promise<unknown> {
    return eventually(`the end of shim ${this.pid}`, () => !this.isAlive);
  }

  /** As the daemon does after the last Delete. */
  async shutdown(): Promise<void> {
    await this.task.Shutdown({ id: 'x' }).catch((error: unknown) => {
      if (!(error instanceof TtrpcError && error.message.includes('ttrpc: closed'))) throw error;
    });
    await this.gone();
  }
}

/** A container in a shim. */
export class Task {
  constructor(
    readonly shim: Shim,
    readonly id: string,
    readonly pid: number,
    readonly stdio: TestStdio,
  ) {}

  get out(): FifoReader {
    return this.stdio.out!;
  }
  get err(): FifoReader {
    return this.stdio.err!;
  }
  get lab(): Lab {
    return this.shim.lab;
  }

  start(execId = ''): Promise<{ pid: number }> {
    return this.shim.task.Start({ id: this.id, execId });
  }
  state(execId = ''): Promise<containerd.task.v2.StateResponse> {
    return this.shim.task.State({ id: this.id, execId });
  }
  wait(execId = ''): Promise<containerd.task.v2.WaitResponse> {
    return this.shim.task.Wait({ id: this.id, execId });
  }
  kill(signal: number, options: { all?: boolean; execId?: string } = {}): Promise<unknown> {
    return this.shim.task.Kill({ id: this.id, signal, ...options });
  }
  delete(execId = ''): Promise<containerd.task.v2.DeleteResponse> {
    return this.shim.task.Delete({ id: this.id, execId });
  }

  /** Adds an exec, and gives its stdio. */
  async exec(
    execId: string,
    args: readonly string[],
    options: StdioOptions & { edit?: (process: TestProcess) => void } = {},
  ): Promise<TestStdio> {
    const stdio = this.lab.stdio(`${this.id}-${execId}`, options);
    const process = makeProcess(args);
    options.edit?.(process);
    await this.shim.task.Exec({ id: this.id, execId, ...stdio.paths, spec: processAny(process) });
    return stdio;
  }

  /** Runs an exec to its end and deletes it. */
  async run(execId: string, args: readonly string[]): Promise<{ status: number; stdout: string }> {
    const stdio = await this.exec(execId, args);
    await this.start(execId);
    const { exitStatus } = await this.wait(execId);
    const stdout = (await within('end of output', stdio.out!.ended)).toString('utf8');
    await this.delete(execId);
    return { status: exitStatus, stdout };
  }

  /** Kills, waits and deletes: the end of a container that is not what the test is about. */
  async remove(): Promise<containerd.task.v2.DeleteResponse> {
    await this.kill(9);
    await this.wait();
    return this.delete();
  }
}

/** The address in an answer of `start`, whichever dialect it is in. */
export function addressIn(answer: Buffer): string {
  const text = answer.toString('utf8').trim();
  if (text.startsWith('unix://')) return text;
  if (text.startsWith('{')) return (JSON.parse(text) as { address: string }).address;
  return containerd.runtime.bootstrap.v1.BootstrapResult.decode(answer).address;
}

export function processAny(process: TestProcess): google.protobuf.Any.$Properties {
  return {
    type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
    value: Buffer.from(JSON.stringify(process)),
  };
}

/** No call of a test waits for ever. */
function withTimeout<S extends object>(service: S): S {
  const bounded = Object.entries(service as Record<string, (request: unknown, options?: object) => unknown>).map(
    ([name, call]) =>
      [name, (request: unknown, options: object = {}) => call(request, { timeoutMs: CALL_MS, ...options })] as const,
  );
  return Object.fromEntries(bounded) as S;
}

/** The text of a file in a bundle. */
export function bundleFile(lab: Lab, id: string, name: string): string {
  return readFileSync(join(lab.bundlePath(id), name), 'utf8');
}
