/** A repository of a registry: what is read from it, by whichever of its hosts has it. */
import { createHash } from 'node:crypto';
import { isIndex, isManifest, MediaType, type Descriptor } from '../../oci/image.js';
import { Code } from '../../ttrpc/status.js';
import { ClientError } from '../errors.js';
import { throwIfAborted } from '../abort.js';
import { readBlob } from './blob.js';
import { credentialsOf } from './docker-config.js';
import { failure } from './failure.js';
import { HostClient } from './host-client.js';
import { hostsOf } from './hosts.js';
import type { Capability } from './host-types.js';
import { referent, type Reference } from './reference.js';
import { PATIENCE, retrying, type Patience } from './retry.js';
import { bodyOf, type HttpResponse } from './transport.js';
import { Uploader } from './upload.js';
import type { Auth, Credentials, RegistryOptions } from './types.js';

const ACCEPTED = [
  MediaType.Index,
  MediaType.DockerList,
  MediaType.Manifest,
  MediaType.DockerManifest,
  '*/*;q=0.1',
].join(', ');
const MAX_MANIFEST = 4 << 20;
const OLD = 'application/vnd.docker.distribution.manifest.v1';

/** A manifest or index as the registry has it. */
export interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

export class Repository {
  /** Of blobs: hosts that have given something else. */
  readonly #liars = new Map<string, Set<HostClient>>();
  readonly #served = new Map<string, HostClient>();

  private constructor(
    readonly reference: Reference,
    private readonly hosts: readonly HostClient[],
    private readonly patience: Patience,
  ) {}

  /** @throws InvalidArgumentError when the files that say where its registry is are wrong */
  static async open(
    reference: Reference,
    { auth, hostsDir }: RegistryOptions = {},
    patience = PATIENCE,
  ): Promise<Repository> {
    const hosts = await hostsOf(reference.domain, hostsDir);
    const ask = (host: string): Promise<Credentials | undefined> => credentialsBy(auth, host);
    return new Repository(
      reference,
      hosts.map((host) => new HostClient(host, ask)),
      patience,
    );
  }

  /** What its tag or digest stands for now. @throws NotFoundError, UnauthenticatedError, UnavailableError, … */
  async resolve(signal?: AbortSignal): Promise<Descriptor> {
    const { digest } = this.reference;
    return this.#anywhere('resolve', signal, async (client) => {
      const response = await this.#manifest(client, 'HEAD', referent(this.reference), signal);
      response.discard();
      const { 'docker-content-digest': said, 'content-length': length, 'content-type': type } = response.headers;
      // Some leave it out, or don't know it before they have the whole.
      if (said === undefined || length === undefined || typeOf(type) === undefined)
        return (await this.#read(client, referent(this.reference), digest, signal)).descriptor;
      return { mediaType: typeOf(type)!, digest: digest ?? said, size: Number(length) };
    });
  }

  /** A manifest or index. Its digest is verified. @throws NotFoundError, … */
  async manifest({ digest }: Pick<Descriptor, 'digest'>, signal?: AbortSignal): Promise<Document> {
    return this.#anywhere('pull', signal, (client) => this.#read(client, digest, digest, signal));
  }

  /**
   * A blob from a place on, without a gap: after a break it goes on where it was, by another host if need be. Whoever reads it to its
   * end verifies its digest, and says with {@link blame} when it is another one.
   */
  async *blob(descriptor: Descriptor, from: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    let at = from;
    const able = this.hosts.filter(
      (client) => client.host.capabilities.includes('pull') && !this.#liars.get(descriptor.digest)?.has(client),
    );
    for (const [n, client] of able.entries()) {
      this.#served.set(descriptor.digest, client);
      try {
        for await (const chunk of readBlob(client, this.reference.path, descriptor, {
          from: at,
          patience: this.patience,
          signal,
        })) {
          yield chunk;
          at += chunk.length;
        }
        return;
      } catch (error) {
        if (signal?.aborted === true || n === able.length - 1) throw error;
      }
    }
    throw failure(`blob ${descriptor.digest} of ${this.name}: no host is left that could have it`, {
      code: Code.NotFound,
    });
  }

  /** For sending: to the registry itself, or what hosts.toml names for that. */
  uploader(signal?: AbortSignal): Uploader {
    const client = this.hosts.findLast(({ host }) => host.capabilities.includes('push'));
    if (client === undefined)
      throw failure(`${this.name}: hosts.toml names no host for it that may push`, { code: Code.InvalidArgument });
    return new Uploader(client, this.reference.path, this.patience, signal);
  }

  /** The host that served a blob last gave something else. @returns whether there is another one to ask */
  blame(digest: string): boolean {
    const liars = this.#liars.get(digest) ?? new Set();
    const last = this.#served.get(digest);
    if (last !== undefined) liars.add(last);
    this.#liars.set(digest, liars);
    return this.hosts.some((client) => client.host.capabilities.includes('pull') && !liars.has(client));
  }

  /** The host that served a blob last. */
  servedBy(digest: string): string {
    return this.#served.get(digest)?.host.name ?? this.reference.domain;
  }

  /** As it is called, without tag and digest. */
  get name(): string {
    return `${this.reference.domain}/${this.reference.path}`;
  }

  /** Ends its connections. */
  async close(): Promise<void> {
    await Promise.all(this.hosts.map((client) => client.close()));
  }

  #manifest(
    client: HostClient,
    method: 'GET' | 'HEAD',
    which: string,
    signal: AbortSignal | undefined,
  ): Promise<HttpResponse> {
    const { path } = this.reference;
    const what =
      which === referent(this.reference) ? `image ${this.reference.name}` : `manifest ${which} of ${this.name}`;
    return retrying(
      () =>
        client.send({
          method,
          path: `/${path}/manifests/${which}`,
          headers: { accept: ACCEPTED },
          scope: `repository:${path}:pull`,
          accept: [200],
          signal,
          what,
        }),
      this.patience,
      signal,
    );
  }

  /** @param expected what its digest must be; any unless given */
  async #read(
    client: HostClient,
    which: string,
    expected: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Document> {
    const what = `manifest ${which} of ${this.name}`;
    return retrying(
      async () => {
        const response = await this.#manifest(client, 'GET', which, signal);
        let bytes: Buffer;
        try {
          bytes = await bodyOf(response, MAX_MANIFEST);
        } catch (error) {
          throw error instanceof ClientError ? error : client.failure(what, error, signal);
        }
        const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
        if (expected !== undefined && digest !== expected)
          throw failure(`${what}: ${client.host.name} gives something else, of digest ${digest}`, {
            code: Code.DataLoss,
          });
        const mediaType = typeIn(bytes, what) ?? typeOf(response.headers['content-type']);
        check(mediaType, what);
        return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
      },
      this.patience,
      signal,
    );
  }

  /** Asks one host after the other, and fails with what the last one says: that is the registry itself. */
  async #anywhere<T>(
    capability: Capability,
    signal: AbortSignal | undefined,
    work: (client: HostClient) => Promise<T>,
  ): Promise<T> {
    const able = this.hosts.filter(({ host }) => host.capabilities.includes(capability));
    const failures: string[] = [];
    for (const [n, client] of able.entries()) {
      throwIfAborted(signal);
      try {
        return await work(client);
      } catch (error) {
        if (!(error instanceof ClientError) || signal?.aborted === true) throw error;
        if (n === able.length - 1) {
          if (failures.length > 0) error.message += ` (before that: ${failures.join('; ')})`;
          throw error;
        }
        failures.push(error.message);
      }
    }
    throw failure(`${this.name}: hosts.toml names no host for it that may ${capability}`, {
      code: Code.InvalidArgument,
    });
  }
}

async function credentialsBy(auth: Auth | undefined, host: string): Promise<Credentials | undefined> {
  if (auth === undefined) return credentialsOf(host);
  return typeof auth === 'function' ? auth(host) : auth;
}

function typeOf(header: string | undefined): string | undefined {
  const type = header?.split(';')[0]!.trim();
  return type === undefined || !/manifest|index/.test(type) ? undefined : type;
}

/** What a document says that it is, or looks like. */
function typeIn(bytes: Buffer, what: string): string | undefined {
  let document: { mediaType?: unknown; manifests?: unknown; layers?: unknown; config?: unknown } | null;
  try {
    document = JSON.parse(bytes.toString()) as typeof document;
  } catch (error) {
    throw failure(`${what} is no JSON: ${(error as Error).message}`, { code: Code.DataLoss, cause: error });
  }
  if (typeof document?.mediaType === 'string' && document.mediaType !== '') return document.mediaType;
  if (document?.manifests !== undefined) return MediaType.Index;
  return document?.layers !== undefined && document.config !== undefined ? MediaType.Manifest : undefined;
}

function check(mediaType: string | undefined, what: string): asserts mediaType is string {
  const one = { mediaType: mediaType ?? '', digest: '', size: 0 };
  if (isManifest(one) || isIndex(one)) return;
  const old = mediaType?.startsWith(OLD) === true || mediaType === undefined;
  throw failure(
    `${what} is ${old ? 'in a form that is no longer used (schema 1): have it pushed anew' : `of the type ${mediaType}, which is no image`}`,
    { code: Code.InvalidArgument },
  );
}
