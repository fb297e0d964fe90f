/** A registry in this process that does what a test tells it to: it breaks off, lies, turns away, sends elsewhere. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export const TYPE = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

export interface TestDescriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: { os: string; architecture: string };
}

/** What it does to one request instead of answering it. */
export type Fault =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  /** So many bytes of the body, and then the connection is gone. */
  | { readonly cutAfter: number }
  /** Other bytes. */
  | { readonly lie: Buffer }
  | { readonly redirect: string }
  /** It waits for the test. */
  | { readonly until: Promise<unknown> }
  | { readonly ignoreRange: true };

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

export function digestOf(data: Buffer | string): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

export class ScriptedRegistry {
  readonly blobs = new Map<string, Buffer>();
  /** By repository and tag or digest: `box:latest`, `box:sha256:…`. */
  readonly manifests = new Map<string, { type: string; data: Buffer }>();
  readonly seen: Seen[] = [];
  /** Asked for every request, which it may spoil. */
  fault: (request: Seen) => Fault | undefined = () => undefined;
  /** Whom it lets in, and how it asks. */
  auth: { scheme: 'basic' | 'bearer'; username?: string; password?: string; refresh?: string } | undefined;
  readonly #server: Server;
  #tokens = 0;

  private constructor(tls?: { cert: string; key: string; ca?: string }) {
    const handle = (request: IncomingMessage, response: ServerResponse): void => void this.#handle(request, response);
    this.#server =
      tls === undefined
        ? createServer(handle)
        : createTlsServer(
            { ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: tls.ca !== undefined },
            handle,
          );
  }

  static async start(tls?: { cert: string; key: string; ca?: string }): Promise<ScriptedRegistry> {
    const registry = new ScriptedRegistry(tls);
    await new Promise<void>((resolve) => registry.#server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  putBlob(data: Buffer | string, mediaType: string): TestDescriptor {
    const bytes = Buffer.from(data);
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  putManifest(repository: string, tag: string | undefined, type: string, document: object): TestDescriptor {
    const data = Buffer.from(JSON.stringify(document));
    const digest = digestOf(data);
    for (const name of [tag, digest])
      if (name !== undefined) this.manifests.set(`${repository}:${name}`, { type, data });
    return { mediaType: type, digest, size: data.length };
  }

  /** An image of plain layers, for this machine's platform unless another is said. */
  putImage(
    repository: string,
    tag: string | undefined,
    layers: readonly Buffer[],
    { architecture = process.arch === 'x64' ? 'amd64' : process.arch, config = {} } = {},
  ): { manifest: TestDescriptor; config: TestDescriptor; layers: TestDescriptor[] } {
    const configuration = this.putBlob(
      JSON.stringify({ os: 'linux', architecture, config, rootfs: { type: 'layers', diff_ids: layers.map(digestOf) } }),
      TYPE.config,
    );
    const described = layers.map((layer) => this.putBlob(layer, TYPE.layer));
    const manifest = this.putManifest(repository, tag, TYPE.manifest, {
      schemaVersion: 2,
      mediaType: TYPE.manifest,
      config: configuration,
      layers: described,
    });
    return {
      manifest: { ...manifest, platform: { os: 'linux', architecture } },
      config: configuration,
      layers: described,
    };
  }

  /** An index of manifests. */
  putIndex(repository: string, tag: string, manifests: readonly TestDescriptor[]): TestDescriptor {
    return this.putManifest(repository, tag, TYPE.index, { schemaVersion: 2, mediaType: TYPE.index, manifests });
  }

  /** Requests for what a path ends with. */
  requests(end: string, method = 'GET'): Seen[] {
    return this.seen.filter((one) => one.method === method && one.path.split('?')[0]!.endsWith(end));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers };
    this.seen.push(seen);
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const fault = this.fault(seen);
    if (fault !== undefined && 'until' in fault) await fault.until;
    if (fault !== undefined && 'status' in fault) {
      response.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    if (fault !== undefined && 'redirect' in fault) {
      response.writeHead(307, { location: fault.redirect }).end();
      return;
    }
    const url = new URL(seen.path, 'http://registry');
    if (url.pathname === '/token') this.#token(seen, url, Buffer.concat(chunks).toString(), response);
    else if (!this.#admits(seen)) this.#turnAway(url, response);
    else this.#answer(seen, url, response, fault);
  }

  #answer({ method, headers }: Seen, { pathname }: URL, response: ServerResponse, fault: Fault | undefined): void {
    const [, repository = '', kind, name = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(pathname) ?? [];
    const found =
      kind === 'manifests'
        ? this.manifests.get(`${repository}:${name}`)
        : { type: 'application/octet-stream', data: this.blobs.get(name) };
    if (pathname === '/v2/') {
      response.writeHead(200).end('{}');
      return;
    }
    if (found?.data === undefined) {
      response
        .writeHead(404)
        .end(JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }] }));
      return;
    }
    const data = fault !== undefined && 'lie' in fault ? fault.lie : found.data;
    const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    const part = from > 0 && !(fault !== undefined && 'ignoreRange' in fault);
    const body = part ? data.subarray(from) : data;
    response.writeHead(part ? 206 : 200, {
      'content-type': found.type,
      'content-length': body.length,
      ...(kind === 'manifests' ? { 'docker-content-digest': digestOf(found.data) } : {}),
      ...(part ? { 'content-range': `bytes ${from}-${data.length - 1}/${data.length}` } : {}),
    });
    if (method === 'HEAD') response.end();
    else if (fault !== undefined && 'cutAfter' in fault)
      response.write(body.subarray(0, fault.cutAfter), () => setImmediate(() => response.destroy()));
    else response.end(body);
  }

  #admits({ headers }: Seen): boolean {
    const { auth } = this;
    if (auth === undefined) return true;
    if (auth.scheme === 'bearer') return headers.authorization?.startsWith('Bearer token-') === true;
    return headers.authorization === basic(auth.username, auth.password);
  }

  #turnAway({ pathname }: URL, response: ServerResponse): void {
    const repository = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(pathname)?.[1];
    const scope = repository === undefined ? '' : `,scope="repository:${repository}:pull"`;
    const challenge =
      this.auth?.scheme === 'bearer'
        ? `Bearer realm="http://${this.host}/token",service="test"${scope}`
        : 'Basic realm="test"';
    response
      .writeHead(401, { 'www-authenticate': challenge })
      .end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] }));
  }

  #token({ headers, method }: Seen, url: URL, body: string, response: ServerResponse): void {
    const { username, password, refresh } = this.auth ?? {};
    const allowed =
      method === 'POST'
        ? new URLSearchParams(body).get('refresh_token') === refresh
        : username === undefined || headers.authorization === basic(username, password);
    if (!allowed) response.writeHead(401).end('{}');
    else
      response
        .writeHead(200)
        .end(JSON.stringify({ token: `token-${++this.#tokens}`, scope: url.searchParams.get('scope') }));
  }
}

function basic(username = '', password = ''): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
