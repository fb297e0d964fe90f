/** The connection to a shim, one for each task. */
import {
  ContainerdRuntimeSandboxV1Sandbox as Sandbox,
  ContainerdTaskV2Task as TaskV2,
  ContainerdTaskV3Task as TaskV3,
} from '../../api/full.js';
import { connect, type Client, type ServiceClient } from '../../ttrpc/index.js';
import type { Bootstrap } from './answer.js';

/** Both versions have the same methods and messages. */
export type TaskClient = ServiceClient<typeof TaskV2>;

export class ShimConnection {
  /** Kept when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  #client: Client;
  #task: TaskClient;
  #isClosed = false;

  private constructor(client: Client, version: number) {
    this.#client = client;
    this.#task = taskClient(client, version);
    this.closed = client.closed.then(() => {
      this.#isClosed = true;
    });
  }

  /** Connects; throws Unavailable when nobody listens there. */
  static async open(bootstrap: Bootstrap, timeoutMs: number): Promise<ShimConnection> {
    const client = await connect({ path: socketName(bootstrap.address) }, { timeoutMs });
    return new ShimConnection(client, bootstrap.version);
  }

  get task(): TaskClient {
    return this.#task;
  }

  /** Not every shim answers it: Unimplemented. */
  get sandbox(): ServiceClient<typeof Sandbox> {
    return this.#client.service(Sandbox);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Speaks the older Task API from now on: what `bootstrap.json` says may be another shim's word. */
  downgrade(): void {
    this.#task = taskClient(this.#client, 2);
  }

  close(): void {
    this.#client.close();
  }
}

function taskClient(client: Client, version: number): TaskClient {
  return version >= 3 ? client.service(TaskV3) : client.service(TaskV2);
}

/** Whatever is no `unix://` address names an abstract socket (contract §1.6). */
function socketName(address: string): string {
  return address.startsWith('unix://') ? address.slice('unix://'.length) : `\0${address}`;
}
