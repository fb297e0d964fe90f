/** What a gRPC service looks like to a caller, by the kinds of its methods. */
import type { AnyMethod, MethodDefinition, ServiceDefinition } from '../../ttrpc/service.js';
import type { CallOptions } from '../types/calls.js';

/** What a gRPC call may be given besides its request. */
export interface RpcOptions extends CallOptions {
  /** Another namespace than the client's. */
  readonly namespace?: string | undefined;
  /** Keeps what the call makes from the garbage collector for as long as the lease of this id lives. */
  readonly lease?: string | undefined;
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A call that both sides send messages on. Iterating over it gives those of the server; leaving the loop gives the call up. */
export interface RpcDuplex<ReqInit, Res> extends AsyncIterableIterator<Res> {
  /** Sends one message. Waits while the connection is busy, so waiting for it bounds what is kept in memory. */
  send(message: ReqInit): Promise<void>;
  /** Sends nothing more. The server's messages still come. */
  finish(): void;
  /** Gives the call up. */
  cancel(): void;
}

/** A call that the client sends messages on, and that the server answers once. */
export interface RpcSending<ReqInit, Res> {
  /** Sends one message. */
  send(message: ReqInit): Promise<void>;
  /** Sends nothing more, and waits for the reply. */
  finish(): Promise<Res>;
  /** Gives the call up. */
  cancel(): void;
}

/** A method as a function. */
export type RpcMethod<M extends AnyMethod> =
  M extends MethodDefinition<infer Kind, infer ReqInit, infer _Req, infer _ResInit, infer Res>
    ? Kind extends 'unary'
      ? (request: ReqInit, options?: RpcOptions) => Promise<Res>
      : Kind extends 'serverStream'
        ? (request: ReqInit, options?: RpcOptions) => AsyncIterableIterator<Res>
        : Kind extends 'clientStream'
          ? (options?: RpcOptions) => RpcSending<ReqInit, Res>
          : (options?: RpcOptions) => RpcDuplex<ReqInit, Res>
    : never;

/** A service as an object with one function for each method. Failures are the classes of `hawser/client`. */
export type RpcService<S extends ServiceDefinition> = {
  readonly [Name in keyof S['methods']]: RpcMethod<S['methods'][Name]>;
};
