/** A private daemon with a client of `hawser/client`, and what must not be left of either. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client, type Container, type CreateOptions, type Process, type StartOptions } from '../../src/client/index.js';
import { eventually } from './eventually.js';
import { Containerd, daemonProgram, makeImage, shimDir } from './daemons.js';
import type { NetworkHost } from './network-host.js';
import { descriptorsOf, mountsBelow } from './machine.js';

export const IMAGE = 'docker.io/library/client-test:latest';

/** A shell command line as arguments. */
export function sh(script: string): string[] {
  return ['/bin/sh', '-c', script];
}

export class ClientLab {
  #count = 0;

  private constructor(
    readonly daemon: Containerd,
    readonly client: Client,
  ) {}

  /** @param host a network for the daemon, which is the machine's otherwise */
  static async open(host?: NetworkHost): Promise<ClientLab> {
    const daemon = await new Containerd(shimDir, host?.program(daemonProgram)).start();
    const { socket: address, namespace, dir } = daemon;
    const directories = { fifoDir: join(dir, 'fifo'), dataRoot: join(dir, 'cli/nerdctl') };
    const networkPlaces = { stateDir: join(dir, 'network'), confDir: join(dir, 'cni') };
    return new ClientLab(daemon, await Client.connect({ address, namespace, ...directories, networkPlaces }));
  }

  get fifoDir(): string {
    return join(this.daemon.dir, 'fifo');
  }

  /** Where volumes are; also for `hawser` with HAWSER_DATA=`dir`/cli. */
  get dataRoot(): string {
    return join(this.daemon.dir, 'cli/nerdctl');
  }

  get namespace(): string {
    return this.daemon.namespace;
  }

  /** A container that has not been started. */
  create(args: readonly string[], options: Partial<CreateOptions> = {}): Promise<Container> {
    const files = options.image === undefined ? { rootfs: this.daemon.rootfs } : {};
    return this.client.create({ id: `c${++this.#count}`, ...files, args, env: { PATH: '/bin' }, ...options });
  }

  async start(
    args: readonly string[],
    options: Partial<CreateOptions> = {},
    start: StartOptions = {},
  ): Promise<{ container: Container; process: Process }> {
    const container = await this.create(args, options);
    return { container, process: await container.start(start) };
  }

  /** A container to run others in, which goes with the test. */
  async idle(options: Partial<CreateOptions> = {}): Promise<Container> {
    const { container } = await this.start(['sleep', '100000'], options, { stdout: 'ignore', stderr: 'ignore' });
    return container;
  }

  archive(): Promise<string> {
    return makeImage(this.daemon.dir, this.daemon.rootfs, IMAGE, ['echo', 'from the image']);
  }

  /** Asserts that nothing of the tests is there any more. */
  async nothingLeft(): Promise<void> {
    const { client, fifoDir, namespace, daemon } = this;
    assert.deepEqual(
      (await client.containers()).map(({ id }) => id),
      [],
    );
    assert.deepEqual(await client.tasks(), []);
    assert.deepEqual(
      (await client.services.leases.List({})).leases.map(({ id }) => id),
      [],
    );
    assert.deepEqual(existsSync(fifoDir) ? readdirSync(fifoDir) : [], []);
    await eventually(
      'our ends of FIFOs to be closed',
      () => !descriptorsOf(process.pid).some((text) => text.includes(fifoDir)),
    );
    const bundles = join(daemon.state, 'io.containerd.runtime.v2.task', namespace);
    await eventually('the bundles to go', () => !existsSync(bundles) || readdirSync(bundles).length === 0);
    assert.deepEqual(mountsBelow(daemon.dir), []);
  }

  async close(): Promise<void> {
    for (const container of await this.client.containers()) await container.delete({ kill: true });
    this.client.close();
    await this.daemon.cleanUp();
  }
}
