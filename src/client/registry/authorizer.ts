/** Says to a host who one is: a name and password, or a token that its token server gives for them. */
import { Code } from '../../ttrpc/status.js';
import { parseChallenges, type Challenge } from './challenge.js';
import { answered, failure } from './failure.js';
import { beginningOf, bodyOf, type HttpResponse, type Transport } from './transport.js';
import type { Credentials } from './types.js';

interface Token {
  readonly header: string;
  readonly expiresAt: number;
}

/** A token that says nothing of its life lives for so long (the distribution project's token specification). */
const LIFE_S = 60;
/** A token is not used in the last moments of its life. */
const MARGIN_MS = 10_000;

export class Authorizer {
  /** By scope. */
  readonly #tokens = new Map<string, Promise<Token>>();
  #basic: string | undefined;
  #credentials: Promise<Credentials | undefined> | undefined;

  constructor(
    private readonly transport: Transport,
    private readonly ask: () => Promise<Credentials | undefined>,
  ) {}

  /** The header for a scope, as far as it is known without asking. */
  async header(scope: string): Promise<string | undefined> {
    if (this.#basic !== undefined) return this.#basic;
    const token = await this.#tokens.get(scope);
    if (token === undefined) return undefined;
    if (token.expiresAt > Date.now()) return token.header;
    this.#tokens.delete(scope);
    return undefined;
  }

  /**
   * Takes up what a 401 asks for. @returns the header to come with; undefined when there is nothing to offer
   *
   * @param used the header that was refused
   */
  async answer(
    response: HttpResponse,
    scope: string,
    used: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const challenges = parseChallenges(response.headers['www-authenticate'] ?? '');
    const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm);
    const credentials = await (this.#credentials ??= this.ask());
    if (credentials !== undefined && 'registryToken' in credentials) {
      const header = `Bearer ${credentials.registryToken}`;
      return header === used ? undefined : (this.#basic = header);
    }
    if (bearer !== undefined) return this.#token(bearer, scope, credentials, used, signal);
    const basic = challenges.some(({ scheme }) => scheme === 'basic') ? basicHeader(credentials) : undefined;
    return basic === undefined || basic === used ? undefined : (this.#basic = basic);
  }

  /** One request for several who ask at once. */
  async #token(
    { parameters }: Challenge,
    scope: string,
    credentials: Credentials | undefined,
    used: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const known = this.#tokens.get(scope);
    if (known !== undefined) {
      const { header } = await known;
      if (header !== used) return header;
    }
    // The registry knows best what it wants to see, but it does not know what comes next.
    const scopes = [...new Set([...scope.split(' '), ...(parameters.scope ?? '').split(' ')])].filter(Boolean);
    const fetched = this.#fetch(parameters, scopes, credentials, signal);
    this.#tokens.set(scope, fetched);
    try {
      return (await fetched).header;
    } catch (error) {
      this.#tokens.delete(scope);
      throw error;
    }
  }

  async #fetch(
    { realm = '', service = '' }: Challenge['parameters'],
    scopes: readonly string[],
    credentials: Credentials | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const what = `a token for ${this.transport.name}`;
    if (!URL.canParse(realm))
      throw failure(`${what}: it names ${JSON.stringify(realm)} for that, which is no address`, {
        code: Code.Unauthenticated,
      });
    const response =
      credentials !== undefined && 'identityToken' in credentials
        ? await this.transport.send({
            method: 'POST',
            url: realm,
            headers: { 'content-type': 'application/x-www-form-urlencoded' },
            body: new URLSearchParams({
              grant_type: 'refresh_token',
              service,
              client_id: 'hawser',
              scope: scopes.join(' '),
              refresh_token: credentials.identityToken,
            }).toString(),
            signal,
            what,
          })
        : await this.transport.send({
            method: 'GET',
            url: withQuery(realm, service, scopes),
            headers: { ...authorization(credentials) },
            signal,
            what,
          });
    if (response.status !== 200) {
      const text = await beginningOf(response);
      if (response.status === 401 && credentials !== undefined)
        throw failure(
          `${what}: ${new URL(realm).host} does not take the ${'username' in credentials ? `password of ${credentials.username}` : 'token'}: log in again with \`hawser login ${this.transport.name}\``,
          { code: Code.Unauthenticated },
        );
      throw answered(what, new URL(realm).host, { ...response, text });
    }
    return tokenOf(await bodyOf(response), what);
  }
}

function tokenOf(body: Buffer, what: string): Token {
  let answer: { token?: string; access_token?: string; expires_in?: number };
  try {
    answer = JSON.parse(body.toString()) as typeof answer;
  } catch (error) {
    throw failure(`${what}: the answer is no JSON`, { code: Code.Unauthenticated, cause: error });
  }
  const token = answer.token || answer.access_token;
  if (!token) throw failure(`${what}: the answer has none`, { code: Code.Unauthenticated });
  const life = Math.max(LIFE_S, answer.expires_in ?? 0) * 1000;
  return { header: `Bearer ${token}`, expiresAt: Date.now() + life - MARGIN_MS };
}

function withQuery(realm: string, service: string, scopes: readonly string[]): string {
  const url = new URL(realm);
  if (service !== '') url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  return url.href;
}

function authorization(credentials: Credentials | undefined): Record<string, string> {
  const header = basicHeader(credentials);
  return header === undefined ? {} : { authorization: header };
}

function basicHeader(credentials: Credentials | undefined): string | undefined {
  if (credentials === undefined || !('username' in credentials)) return undefined;
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
}
