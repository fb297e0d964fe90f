/** The server: services, and the connections on which they are called. */
import type { Server as NetServer, Socket } from 'node:net';
import { isSameUser, loadPeerReader, type Authorize, type PeerReader } from './authorize.js';
import type { ActiveCall, PeerCredentials, ServerInterceptor } from './call-context.js';
import type { ConnectionSocket } from './connection-socket.js';
import { MethodTable, type Handlers } from './handlers.js';
import { STALL_LIMITS, type StallLimits } from './inbox.js';
import {
  ServerConnection,
  type ConnectionSettings,
  type EarlierCall,
  type ResumedConnection,
  type RestingConnection,
} from './server-connection.js';
import type { ServiceDefinition } from './service.js';

const MAX_UNSENT_BYTES = 1024 * 1024;

/** Who may connect, what sees every call, and limits. */
export interface ServerOptions {
  /** Who may connect; `same-user` unless given. Others are hung up on without a word. */
  readonly authorize?: Authorize | undefined;
  /** The first is the outermost. */
  readonly interceptors?: readonly ServerInterceptor[] | undefined;
  /** How much a stream that isn't read from may hold up its connection. */
  readonly stall?: Partial<StallLimits> | undefined;
  /** A connection with more unsent output than this isn't read from until that is sent; 1 MiB unless given. */
  readonly maxUnsentBytes?: number | undefined;
  /**
   * Offered a connection whose first bytes are no frame's (the first byte of a frame that is not oversized is 0), once its
   * peer has been checked. True takes the socket over: the server has no more to do with it. The bytes are to be read
   * from the argument.
   */
  readonly other?: ((socket: Socket, first: Buffer) => boolean) | undefined;
  /** Told about connections that could not be accepted or checked; a process warning unless given. */
  readonly onError?: ((error: Error) => void) | undefined;
}

/** Answers calls on any number of connections. */
export class Server {
  readonly #methods = new MethodTable();
  readonly #settings: ConnectionSettings;
  readonly #authorize: Authorize;
  readonly #onError: (error: Error) => void;
  readonly #listeners = new Set<NetServer>();
  /** With those that are gone, as long as one of their handlers runs. */
  readonly #connections = new Set<ServerConnection>();
  #peerReader: PeerReader | undefined;
  #connectionCount = 0;
  #draining: (() => void) | undefined;
  #stopped = false;

  /** A server without services, which nobody can reach yet: see add() and serve(). */
  constructor(options: ServerOptions = {}) {
    this.#authorize = options.authorize ?? 'same-user';
    this.#onError = options.onError ?? ((error) => process.emitWarning(error));
    this.#settings = {
      methods: this.#methods,
      interceptors: options.interceptors ?? [],
      stall: { ...STALL_LIMITS, ...options.stall },
      maxUnsentBytes: options.maxUnsentBytes ?? MAX_UNSENT_BYTES,
      // Who has given others to accept() than Node's is offered those.
      other: options.other as ((socket: ConnectionSocket, first: Buffer) => boolean) | undefined,
      changed: (connection) => this.#changed(connection),
    };
  }

  /** Answers a service's methods. The same handlers may be added for several services that have the same methods. */
  add<S extends ServiceDefinition>(service: S, handlers: Handlers<S>): this {
    this.#methods.add(service, handlers);
    return this;
  }

  /**
   * Answers whoever connects to a listening socket. The promise is kept when connections can be told apart, and broken when
   * they cannot (`same-user` without the native addon); whoever connects before is answered then.
   */
  async serve(listener: NetServer): Promise<void> {
    this.#listeners.add(listener);
    const accepted = (socket: Socket): void => {
      void this.accept(socket);
    };
    const failed = (error: NodeJS.ErrnoException): void => {
      // Too many open files, say: the next connection may do better.
      if (error.syscall === 'accept') this.#onError(error);
      // An error that only we have heard of, such as a path that is in use, must not be lost on that account.
      else if (listener.listenerCount('error') === 1) throw error;
    };
    listener.on('connection', accepted);
    // Ahead of the others, so that those that listen only once are still counted.
    listener.prependListener('error', failed);
    listener.on('close', () => {
      listener.off('connection', accepted);
      listener.off('error', failed);
      this.#listeners.delete(listener);
    });
    await this.ready();
  }

  /** Answers one connection, if its peer may connect. Never rejects: what goes wrong is told to `onError`. */
  async accept(socket: ConnectionSocket): Promise<void> {
    socket.on('error', ignore);
    try {
      if (this.#authorize === 'same-user' && this.#peerReader === undefined) await this.ready();
      this.#admit(socket);
    } catch (error) {
      socket.destroy();
      this.#onError(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /**
   * All connections, for another process to go on with: see resume(). Undefined while a frame is under way, in or out, or a
   * socket has been taken over. Calls are the caller's business.
   */
  rest(): (RestingConnection & { readonly id: number })[] | undefined {
    const all: (RestingConnection & { readonly id: number })[] = [];
    for (const connection of this.#connections) {
      const resting = connection.rest();
      if (resting === undefined) return undefined;
      all.push({ ...resting, id: connection.id });
    }
    return all;
  }

  /**
   * Goes on with a connection that another process has accepted.
   *
   * @param calls those that it has not answered
   */
  resume(socket: ConnectionSocket, state: ResumedConnection, calls: readonly EarlierCall[]): void {
    socket.on('error', ignore);
    const connection = this.#admit(socket)?.resume(state);
    for (const call of calls) connection?.ask(call);
  }

  /** Of the clients that are connected. */
  sockets(): ConnectionSocket[] {
    return [...this.#connections].filter(({ closed }) => !closed).map(({ socket }) => socket);
  }

  /** How many calls are being handled. */
  get activeCalls(): number {
    let count = 0;
    for (const connection of this.#connections) count += connection.calls.size;
    return count;
  }

  /** How many clients are connected. */
  get connections(): number {
    let count = 0;
    for (const connection of this.#connections) if (!connection.closed) count++;
    return count;
  }

  /** The calls that are being handled, as they are now. */
  calls(): ActiveCall[] {
    const calls: ActiveCall[] = [];
    for (const connection of this.#connections) {
      for (const { service, method, started, streamId } of connection.calls.values()) {
        calls.push({ service, method, started, streamId, connectionId: connection.id, peer: connection.peer });
      }
    }
    return calls;
  }

  /**
   * Accepts nobody any more, lets calls that are being handled finish and their replies be sent, and closes. Connections that
   * are still busy after `graceMs` are closed nevertheless.
   */
  async shutdown(options: { readonly graceMs?: number | undefined } = {}): Promise<void> {
    this.#stopListening();
    const { graceMs } = options;
    const timer = graceMs === undefined || graceMs === Infinity ? undefined : setTimeout(() => this.close(), graceMs);
    await new Promise<void>((resolve) => {
      const previous = this.#draining;
      this.#draining = () => {
        if (this.connections > 0) return;
        previous?.();
        resolve();
      };
      for (const connection of this.#connections) this.#closeIfIdle(connection);
      this.#draining();
    });
    clearTimeout(timer);
  }

  /** Closes at once. Handlers that are running go on, but nobody hears them. */
  close(): void {
    this.#stopListening();
    for (const connection of this.#connections) connection.close();
  }

  #stopListening(): void {
    this.#stopped = true;
    for (const listener of this.#listeners) listener.close();
    this.#listeners.clear();
  }

  /** The promise is kept when connections can be told apart, as with serve(): for who has listeners of another kind. */
  async ready(): Promise<void> {
    if (this.#authorize === 'same-user') this.#peerReader ??= await loadPeerReader();
  }

  #admit(socket: ConnectionSocket): ServerConnection | undefined {
    let peer: PeerCredentials | undefined;
    if (
      this.#stopped ||
      socket.destroyed ||
      !this.#mayConnect(socket, (found) => {
        peer = found;
      })
    ) {
      socket.destroy();
      return undefined;
    }
    const connection = new ServerConnection(++this.#connectionCount, socket, peer, this.#settings);
    this.#connections.add(connection);
    return connection;
  }

  #mayConnect(socket: ConnectionSocket, found: (peer: PeerCredentials) => void): boolean {
    if (this.#authorize === 'none') return true;
    if (this.#authorize !== 'same-user') return this.#authorize(socket as Socket);
    const peer = this.#peerReader!(socket);
    found(peer);
    return isSameUser(peer);
  }

  /** A call has ended on a connection, or the connection itself has. */
  #changed(connection: ServerConnection): void {
    if (connection.closed) {
      if (connection.calls.size === 0) this.#connections.delete(connection);
      this.#draining?.();
    } else if (this.#draining !== undefined) this.#closeIfIdle(connection);
  }

  #closeIfIdle(connection: ServerConnection): void {
    if (connection.calls.size === 0 && !connection.closed) connection.closeSoon();
  }
}

/** For sockets whose peer isn't known yet: an error there is followed by 'close', and that is all we need to know. */
function ignore(): void {
  return undefined;
}
