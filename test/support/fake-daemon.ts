/** The side of containerd that a shim talks to: the events service, on a socket that can go away and come back. */
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { containerd, type google } from '../../src/api/index.js';
import { ContainerdServicesEventsTtrpcV1Events as Events } from '../../src/api/index.js';
import { Server } from '../../src/ttrpc/index.js';
import { eventually } from './eventually.js';

/** One event as it arrived, its body decoded. */
export interface SeenEvent {
  topic: string;
  type: string;
  namespace: string;
  time: google.protobuf.Timestamp.$Properties | null | undefined;
  /** The namespace in the call's metadata. */
  metadata: string | undefined;
  body: EventBody;
}

export interface EventBody {
  containerId: string;
  id?: string;
  execId?: string;
  pid?: number;
  exitStatus?: number;
  exitedAt?: google.protobuf.Timestamp.$Properties | null;
  bundle?: string;
  checkpoint?: string;
  io?: { stdin?: string; stdout?: string; stderr?: string; terminal?: boolean } | null;
  rootfs?: unknown[];
}

export class FakeDaemon {
  readonly events: SeenEvent[] = [];
  /** Called with each event as it comes. */
  heard: (event: SeenEvent) => void = () => undefined;
  #server: Server | undefined;

  constructor(readonly path: string) {}

  async start(): Promise<void> {
    rmSync(this.path, { force: true });
    const server = new Server();
    server.add(Events, {
      Forward: ({ envelope }, { metadata }) => {
        const { timestamp, event } = envelope ?? {};
        const seen: SeenEvent = {
          topic: envelope?.topic ?? '',
          namespace: envelope?.namespace ?? '',
          time: timestamp,
          type: event?.type_url ?? '',
          metadata: metadata.get('containerd-namespace-ttrpc'),
          body: decode(event?.type_url ?? '', event?.value ?? new Uint8Array()),
        };
        this.events.push(seen);
        this.heard(seen);
        return {};
      },
    });
    const listener = createServer();
    await server.serve(listener);
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(this.path, resolve);
    });
    this.#server = server;
  }

  /** Hangs up on everybody, and is not there any more. */
  stop(): void {
    this.#server?.close();
    this.#server = undefined;
    rmSync(this.path, { force: true });
  }

  /** Events of one container, or all, in short: `start`, `exit x 0` with the process' id and status. */
  story(containerId?: string): string[] {
    return this.of(containerId).map(({ topic, body }) => {
      const name = topic.replace(/^\/tasks\//, '');
      const who = body.id || body.execId;
      if (name === 'exit') return `exit ${who} ${body.exitStatus}`;
      return who ? `${name} ${who}` : name;
    });
  }

  of(containerId?: string, topic?: string): SeenEvent[] {
    return this.events.filter(
      (event) =>
        (containerId === undefined || event.body.containerId === containerId) &&
        (topic === undefined || event.topic === topic),
    );
  }

  /** The first event of that kind, when it is there. */
  saw(topic: string, containerId: string, id?: string): Promise<SeenEvent> {
    return eventually(`event ${topic} of ${containerId} ${id ?? ''}; seen: ${this.story().join(', ')}`, () =>
      this.of(containerId, `/tasks/${topic}`).find(({ body }) => id === undefined || (body.id || body.execId) === id),
    );
  }
}

function decode(type: string, value: Uint8Array): EventBody {
  const name = type.replace(/^containerd\.events\./, '');
  const known = containerd.events as unknown as Record<string, { decode(bytes: Uint8Array): EventBody } | undefined>;
  const message = known[name];
  if (!message) throw new Error(`event of an unknown type ${type}`);
  return message.decode(value);
}
