/** Blobs and manifests to a registry (OCI distribution specification, "Push"). */
import type { Descriptor } from '../../oci/image.js';
import { Code } from '../../ttrpc/status.js';
import { ClientError } from '../errors.js';
import { failure, isTransient } from './failure.js';
import type { HostClient } from './host-client.js';
import { retrying, type Patience } from './retry.js';

/** What is uploaded, and how. */
export interface Upload {
  readonly descriptor: Descriptor;
  /** Its bytes, from the beginning; asked for again after a break. */
  readonly bytes: () => AsyncIterable<Uint8Array>;
  /** Repositories of the same registry that may have it, so that it need not be sent. */
  readonly sources: readonly string[];
  readonly onBytes?: ((at: number) => void) | undefined;
}

/** How a blob has come to be there. */
export type Uploaded = 'there' | 'mounted' | 'sent';

export class Uploader {
  constructor(
    private readonly client: HostClient,
    private readonly path: string,
    private readonly patience: Patience,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Sends a blob, unless the registry has it here or in another repository that may be read. */
  async blob(upload: Upload): Promise<Uploaded> {
    const { digest } = upload.descriptor;
    if (await this.#has(`blobs/${digest}`, `blob ${digest}`)) return 'there';
    return retrying(() => this.#send(upload), this.patience, this.signal);
  }

  /** Puts a manifest or index by a tag, or by its digest. It must be whole: the registry checks that its parts are there. */
  async manifest({ digest, mediaType }: Descriptor, bytes: Uint8Array, reference: string): Promise<void> {
    const what = `manifest ${reference} to ${this.#name}`;
    const response = await retrying(
      () =>
        this.client.send({
          method: 'PUT',
          path: `/${this.path}/manifests/${reference}`,
          headers: { 'content-type': mediaType },
          body: bytes,
          scope: this.#scope(),
          accept: [200, 201, 202],
          signal: this.signal,
          what,
        }),
      this.patience,
      this.signal,
    );
    response.discard();
    const { 'docker-content-digest': said } = response.headers;
    if (said !== undefined && said !== digest)
      throw failure(`${what}: ${this.client.host.name} has made ${said} of it, and it is ${digest}`, {
        code: Code.DataLoss,
      });
  }

  /** Whether the registry has a manifest. */
  hasManifest(digest: string): Promise<boolean> {
    return this.#has(`manifests/${digest}`, `manifest ${digest}`);
  }

  get #name(): string {
    return `${this.client.host.name}/${this.path}`;
  }

  #scope(from?: string): string {
    const own = `repository:${this.path}:pull,push`;
    return from === undefined ? own : `${own} repository:${from}:pull`;
  }

  async #has(where: string, what: string): Promise<boolean> {
    const response = await retrying(
      () =>
        this.client.send({
          method: 'HEAD',
          path: `/${this.path}/${where}`,
          headers: where.startsWith('manifests') ? { accept: '*/*' } : {},
          scope: this.#scope(),
          accept: [200, 404],
          signal: this.signal,
          what: `${what} of ${this.#name}`,
        }),
      this.patience,
      this.signal,
    );
    response.discard();
    return response.status === 200;
  }

  async #send({ descriptor, bytes, sources, onBytes }: Upload): Promise<Uploaded> {
    const { digest, size } = descriptor;
    const what = `blob ${digest} to ${this.#name}`;
    const [from] = sources;
    const begun = await this.#begin(digest, from, what);
    begun.discard();
    if (begun.status === 201) return 'mounted';
    const { location } = begun.headers;
    if (location === undefined || !URL.canParse(location, begun.url))
      throw failure(`${what}: ${this.client.host.name} does not say where to send it`, { code: Code.Unavailable });
    const url = new URL(location, begun.url);
    url.searchParams.set('digest', digest);
    const response = await this.client.send({
      method: 'PUT',
      path: url.href,
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
      body: counted(bytes(), onBytes),
      scope: this.#scope(),
      accept: [200, 201, 204],
      signal: this.signal,
      what,
    });
    response.discard();
    return 'sent';
  }

  /** Has the registry take the blob from another repository, or say where it is to be sent. Who may not read there may still send. */
  async #begin(digest: string, from: string | undefined, what: string): ReturnType<HostClient['send']> {
    const begin = (source: string | undefined, accept: readonly number[]): ReturnType<HostClient['send']> =>
      this.client.send({
        method: 'POST',
        path: `/${this.path}/blobs/uploads/${source === undefined ? '' : `?${new URLSearchParams({ mount: digest, from: source }).toString()}`}`,
        headers: { 'content-length': '0' },
        scope: this.#scope(source),
        accept,
        signal: this.signal,
        what,
      });
    if (from !== undefined) {
      try {
        return await begin(from, [201, 202]);
      } catch (error) {
        if (!(error instanceof ClientError) || isTransient(error)) throw error;
      }
    }
    return begin(undefined, [202]);
  }
}

async function* counted(
  bytes: AsyncIterable<Uint8Array>,
  onBytes: ((at: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const chunk of bytes) {
    yield chunk;
    onBytes?.((at += chunk.length));
  }
}
