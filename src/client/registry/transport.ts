/** HTTP to one host: its certificates, proxies of the environment, redirects. */
import type { Readable } from 'node:stream';
import type { buildConnector, Dispatcher, request } from 'undici';
import { abortedBy } from '../abort.js';
import { tlsOptions, type Certificates } from './certificates.js';
import { failure, unreachable } from './failure.js';
import { proxyFor } from './proxy.js';
import { Code } from '../../ttrpc/status.js';

/** A request, to wherever its address leads. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Uint8Array | string | AsyncIterable<Uint8Array> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What is asked for, as errors name it. */
  readonly what: string;
}

/** Its answer. The body has to be read, or discarded. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Readable;
  /** Lets go of what has not been read of it. */
  readonly discard: () => void;
  /** Where it came from in the end. */
  readonly url: string;
}

interface Opened {
  readonly send: (url: string, options: Parameters<typeof request>[1]) => Promise<Dispatcher.ResponseData>;
  /** What leads to an address. */
  readonly way: (url: string) => Dispatcher;
  readonly close: () => Promise<unknown>;
}

const CONNECT_MS = 30_000;
/** Of silence. */
const SILENCE_MS = 60_000;
const SHORT = 64 << 10;
const MAX_REDIRECTS = 10;
/** Headers that are for the host alone that they were meant for. */
const PRIVATE = /^(?:authorization|cookie|proxy-authorization)$/i;

export class Transport {
  #dispatcher: Promise<Opened> | undefined;
  /** It has answered once. */
  #known = false;

  constructor(
    /** The host's name, for errors. */
    readonly name: string,
    private readonly certificates: Certificates,
  ) {}

  /**
   * Sends a request and follows where it is redirected to. Whatever the status, it is no error.
   *
   * @throws UnavailableError when there is no answer, AbortError
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const { what } = request;
    let { url, headers = {} } = request;
    for (let redirects = 0; ; redirects++) {
      const response = await this.#once({ ...request, url, headers });
      const { location } = response.headers;
      const follows =
        (request.method === 'GET' || request.method === 'HEAD') && [301, 302, 303, 307, 308].includes(response.status);
      if (!follows || location === undefined) return response;
      response.discard();
      if (redirects === MAX_REDIRECTS || !URL.canParse(location, url))
        throw failure(
          `${what}: ${this.name} redirects ${redirects === MAX_REDIRECTS ? 'without an end' : `to ${location}, which is no address`}`,
          {
            code: Code.Unavailable,
          },
        );
      const next = new URL(location, url);
      if (next.origin !== new URL(url).origin)
        headers = Object.fromEntries(Object.entries(headers).filter(([name]) => !PRIVATE.test(name)));
      url = next.href;
    }
  }

  async #once({ method, url, headers, body, signal, what }: HttpRequest): Promise<HttpResponse> {
    const { send, way } = await (this.#dispatcher ??= this.#open());
    try {
      const response = await send(url, {
        dispatcher: way(url),
        method,
        headers: { 'user-agent': 'hawser', ...headers } as Record<string, string | string[]>,
        body: body as Exclude<Dispatcher.DispatchOptions['body'], undefined>,
        signal: signal ?? null,
        headersTimeout: SILENCE_MS,
        bodyTimeout: SILENCE_MS,
      });
      this.#known = true;
      // Whoever reads is told by the reading; one that is not read has nobody to tell.
      response.body.on('error', () => undefined);
      return {
        status: response.statusCode,
        headers: Object.fromEntries(
          Object.entries(response.headers).map(([name, value]) => [
            name,
            Array.isArray(value) ? value.join(', ') : value,
          ]),
        ),
        body: response.body,
        // A short rest is read, so that the connection can be used again.
        discard: () => void response.body.dump({ limit: SHORT }).catch(() => undefined),
        url,
      };
    } catch (error) {
      throw this.failure(what, error, signal);
    }
  }

  /** What a request, or its body, has failed with. */
  failure(what: string, error: unknown, signal: AbortSignal | undefined): Error {
    if (signal?.aborted === true) return abortedBy(signal);
    return unreachable(what, this.name, error, this.#known);
  }

  async #open(): Promise<Opened> {
    // Only who speaks with registries has to load it.
    // Where it is bundled, a CommonJS module has no names but this one.
    const { Agent, buildConnector, ProxyAgent, request } = (await import('undici')).default;
    const tls = tlsOptions(this.certificates);
    const plain = buildConnector({ timeout: CONNECT_MS });
    let secure: buildConnector.connector | undefined;
    const connect: buildConnector.connector = (options, callback) =>
      options.protocol === 'https:'
        ? (secure ??= buildConnector({ timeout: CONNECT_MS, ...tls() }))(options, callback)
        : plain(options, callback);
    const direct = new Agent({ connect });
    const proxies = new Map<string, Dispatcher>();
    const way = (url: string): Dispatcher => {
      const proxy = proxyFor(url);
      if (proxy === undefined) return direct;
      const known = proxies.get(proxy);
      if (known !== undefined) return known;
      const made = new ProxyAgent({ uri: proxy, requestTls: { ...tls(), timeout: CONNECT_MS } });
      proxies.set(proxy, made);
      return made;
    };
    return {
      send: request,
      way,
      close: () => Promise.all([direct, ...proxies.values()].map((one) => one.destroy())),
    };
  }

  /** Ends its connections. */
  async close(): Promise<void> {
    // What could not be opened has been told to whoever wanted it.
    const opened = await this.#dispatcher?.catch(() => undefined);
    await opened?.close();
  }
}

const MAX_TEXT = 4 << 20;

/** The whole of a body that is short. */
export async function bodyOf(response: HttpResponse, most = MAX_TEXT): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    if ((length += chunk.length) > most) {
      response.discard();
      throw failure(`${response.url} has more than ${most} bytes, which is too much for a document`, {
        code: Code.ResourceExhausted,
      });
    }
  }
  return Buffer.concat(chunks);
}

/** The beginning of a body, for what it says of an error; empty when it breaks off. */
export async function beginningOf({ body, discard }: HttpResponse, most = SHORT): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      if ((length += chunk.length) >= most) break;
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
  discard();
  return Buffer.concat(chunks).toString();
}
