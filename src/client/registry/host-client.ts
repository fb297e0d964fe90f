/** Requests to one host of a registry, with all that they need to be answered. */
import { Authorizer } from './authorizer.js';
import { answered } from './failure.js';
import type { Host } from './host-types.js';
import { beginningOf, Transport, type HttpRequest, type HttpResponse } from './transport.js';
import type { Credentials } from './types.js';

/** A request to a registry. */
export interface RegistryRequest extends Omit<HttpRequest, 'url'> {
  /** Behind the host's base, with a slash; or a whole address, where a registry has given one. */
  readonly path: string;
  /** What one wants to do: `repository:library/busybox:pull`. */
  readonly scope: string;
  /** Statuses that are no error. */
  readonly accept: readonly number[];
}

export class HostClient {
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;

  constructor(
    readonly host: Host,
    credentials: (host: string) => Promise<Credentials | undefined>,
  ) {
    this.#transport = new Transport(host.name, host.certificates);
    this.#authorizer = new Authorizer(this.#transport, () => credentials(host.name));
  }

  /**
   * The answer. Its body has to be read, or discarded.
   *
   * @throws ClientError of the class of a status that is not accepted
   */
  async send(request: RegistryRequest): Promise<HttpResponse> {
    const { scope, signal, accept, what } = request;
    let used = await this.#authorizer.header(scope);
    let response = await this.#with(request, used);
    // Once for a token that is missing, and once for one that has been forgotten there.
    for (let tries = 0; response.status === 401 && tries < 2 && repeatable(request); tries++) {
      const header = await this.#authorizer.answer(response, scope, used, signal);
      if (header === undefined) break;
      response.discard();
      used = header;
      response = await this.#with(request, used);
    }
    if (accept.includes(response.status)) return response;
    const text = await beginningOf(response);
    throw answered(what, this.host.name, { ...response, text });
  }

  /** What reading a body has failed with. */
  failure(what: string, error: unknown, signal: AbortSignal | undefined): Error {
    return this.#transport.failure(what, error, signal);
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  #with(request: RegistryRequest, authorization: string | undefined): Promise<HttpResponse> {
    const { base, headers, mirrorOf } = this.host;
    const url = new URL(/^https?:/.test(request.path) ? request.path : `${base}${request.path}`);
    // A mirror of several registries has to be told which one is meant.
    if (mirrorOf !== undefined && request.path.startsWith('/')) url.searchParams.set('ns', mirrorOf);
    return this.#transport.send({
      ...request,
      url: url.href,
      headers: { ...headers, ...request.headers, ...(authorization === undefined ? {} : { authorization }) },
    });
  }
}

/** A body that comes from a stream can be sent once only. */
function repeatable({ body }: RegistryRequest): boolean {
  return body === undefined || typeof body === 'string' || body instanceof Uint8Array;
}
