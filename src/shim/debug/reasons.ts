/** What a request waits for: put together from what is under way, as the parts of the shim note it. */
import type { RunningCommand } from '../../runc/index.js';
import { isOver, type ProcessRecord } from '../record/record.js';
import type { PendingRequest } from '../observe/requests.js';
import type { Wait } from '../observe/pending.js';
import type { ContainerSnapshot, Sources } from './sources.js';

/** One thing that is waited for. */
export interface Reason {
  /** `runtime command`, `fifo reader`, `terminal`, `logger`, `mount`, `umount`, `output`, `turn`, `exit`, `execs` or `reply`. */
  what: string;
  /** The same as a sentence's end: "it waits for …". */
  text: string;
  ageMs?: number;
  /** Of the runtime's command, or of the process that has yet to end. */
  pid?: number;
  /** Of which FIFO, process or mount point. */
  subject?: string;
  /** The requests that come first, for `turn`. */
  behind?: { method: string; exec?: string; ageMs: number }[];
}

/** Which commands of the runtime each method runs. */
const COMMANDS: Record<string, readonly string[]> = {
  Create: ['create', 'delete'],
  Start: ['start', 'restore', 'exec'],
  Delete: ['delete'],
  Kill: ['kill'],
  Pause: ['pause'],
  Resume: ['resume'],
  Update: ['update'],
  Checkpoint: ['checkpoint'],
  Pids: ['ps'],
};
/** Those that may run when an init has ended, before its exit event is published. */
const AFTER_EXIT = ['kill', 'resume'];

const TEXTS: Record<string, (subject: string) => string> = {
  'fifo reader': (path) => `somebody to open ${path} for reading`,
  logger: (id) => `the logging binary of ${id} to be ready`,
  terminal: (id) => `the runtime to send the terminal of ${id}`,
  mount: (path) => `a mount at ${path}`,
  umount: (path) => `the unmounting of ${path}`,
  output: (id) => `the output of ${id} to be copied to its end`,
};

export class Reasons {
  readonly #commands: RunningCommand[];
  readonly #waits: Wait[];

  constructor(
    sources: Sources,
    private readonly containers: readonly ContainerSnapshot[],
    private readonly now: number,
  ) {
    this.#commands = sources.commands();
    this.#waits = sources.waits();
  }

  age(since: number): number {
    return Math.max(0, this.now - since);
  }

  /** Everything that is waited for, on whose account it may be. */
  all(): Reason[] {
    return this.#waits.map((wait) => this.#wait(wait));
  }

  of(request: PendingRequest): Reason[] {
    const { method, id, execId } = request;
    const container = this.containers.find(({ record }) => record.id === id);
    if (!container) return [];
    const process = execId ? container.record.execs[execId] : container.record.init;
    if (!process) return [];
    if (method === 'Wait') return this.#ofWait(container, process, execId);
    const operations = (execId ? container.execs.get(execId) : container.init)?.operations ?? [];
    const place = operations.findIndex((one) => one.request === request);
    if (place > 0)
      return [
        this.#turn(
          operations.slice(0, place).map((one) => one.request),
          operations[0]!.since,
        ),
      ];
    return [
      ...this.#commandsOf(container, COMMANDS[method] ?? [], execId),
      ...this.#waitsOf(container, process, execId, method),
    ];
  }

  /** Undefined when its exit is not known, or its event has been published. */
  ofUnpublishedExit({ record, init, activeExecs }: ContainerSnapshot): Reason[] | undefined {
    if (record.init.exitedAt === undefined || isOver(record.init)) return undefined;
    const reasons = this.#commands
      .filter((command) => command.container === record.id && AFTER_EXIT.includes(command.name))
      .map((command) => this.#command(command));
    if (activeExecs > 0)
      reasons.push({ what: 'execs', text: `${activeExecs} execs to end, as the init's exit is published last` });
    if (init.isHeld) reasons.push({ what: 'reply', text: 'its Create or Start to be answered, which comes first' });
    return reasons;
  }

  #ofWait(container: ContainerSnapshot, process: ProcessRecord, execId: string): Reason[] {
    const { pid } = process;
    if (pid === 0) return [{ what: 'exit', text: `${execId || 'the init'} to be started, and to end` }];
    if (process.exitedAt === undefined) return [{ what: 'exit', text: `process ${pid} to end`, pid }];
    if (!execId) return this.ofUnpublishedExit(container) ?? [];
    return [{ what: 'reply', text: 'its Start to be answered, which comes first' }];
  }

  #turn(before: readonly (PendingRequest | undefined)[], since: number): Reason {
    const behind = before.map((request) => ({
      method: request?.method ?? "the shim's own",
      ...(request?.execId ? { exec: request.execId } : {}),
      ageMs: this.age(request?.context.started ?? since),
    }));
    return {
      what: 'turn',
      text: `its turn behind ${behind.map(({ method }) => method).join(', ')}`,
      behind: behind.map((one) => ({ ...one, ageMs: Math.round(one.ageMs) })),
    };
  }

  #commandsOf({ record }: ContainerSnapshot, names: readonly string[], execId: string): Reason[] {
    return this.#commands
      .filter(({ name, container, exec = '' }) => names.includes(name) && container === record.id && exec === execId)
      .map((command) => this.#command(command));
  }

  #command({ name, pid, startedAt, argv }: RunningCommand): Reason {
    return { what: 'runtime command', text: `${argv[0]} ${name}, process ${pid}`, pid, ageMs: this.age(startedAt) };
  }

  #waitsOf({ record }: ContainerSnapshot, process: ProcessRecord, execId: string, method: string): Reason[] {
    return this.#waits
      .filter(({ what, subject }) => {
        if (what === 'mount' || what === 'umount')
          return execId === '' && ['Create', 'Delete'].includes(method) && isBelow(subject, record.bundle);
        if (what === 'output') return method === 'Delete' && subject === (execId || record.id);
        return (
          ['Create', 'Start'].includes(method) &&
          [process.stdin, process.stdout, process.stderr, execId || record.id].includes(subject)
        );
      })
      .map((wait) => this.#wait(wait));
  }

  #wait({ what, subject, since }: Wait): Reason {
    return { what, text: TEXTS[what]?.(subject) ?? `${what} ${subject}`, subject, ageMs: this.age(since) };
  }
}

function isBelow(path: string, dir: string): boolean {
  return path === dir || path.startsWith(`${dir}/`);
}
