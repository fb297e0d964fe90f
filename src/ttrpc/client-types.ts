/** What a client of a service looks like, by the kinds of its methods. */
import type { CallOptions } from './exchange.js';
import type { AnyMethod, MethodDefinition, ServiceDefinition } from './service.js';

/** A call that the client sends messages on, and that the server answers once. */
export interface SendingCall<ReqInit, Res> {
  /** Sends one message. Waits while the connection is busy, so waiting for it bounds what is kept in memory. */
  send(message: ReqInit): Promise<void>;
  /** Sends nothing more, and waits for the reply. */
  finish(): Promise<Res>;
  /** Gives the call up. ttrpc doesn't tell the server. */
  cancel(): void;
}

/** A call that both sides send messages on. Iterating over it gives those of the server. */
export interface BidiCall<ReqInit, Res> extends AsyncIterable<Res> {
  /** Sends one message. Waits while the connection is busy, so waiting for it bounds what is kept in memory. */
  send(message: ReqInit): Promise<void>;
  /** Sends nothing more. The server's messages still come. */
  finish(): Promise<void>;
  /** Gives the call up. ttrpc doesn't tell the server. */
  cancel(): void;
}

/** A method as a function. */
export type ClientMethod<M extends AnyMethod> =
  M extends MethodDefinition<infer Kind, infer ReqInit, infer _Req, infer _ResInit, infer Res>
    ? Kind extends 'unary'
      ? (request: ReqInit, options?: CallOptions) => Promise<Res>
      : Kind extends 'serverStream'
        ? (request: ReqInit, options?: CallOptions) => AsyncIterableIterator<Res>
        : Kind extends 'clientStream'
          ? (options?: CallOptions) => SendingCall<ReqInit, Res>
          : (options?: CallOptions) => BidiCall<ReqInit, Res>
    : never;

/** A service as an object with one function for each method. */
export type ServiceClient<S extends ServiceDefinition> = {
  readonly [Name in keyof S['methods']]: ClientMethod<S['methods'][Name]>;
};
