/**
 * What a server needs of a connection's socket. Node's are such; a process whose connections are to outlive it has others,
 * which keep account of what was asked and not answered.
 */
export interface ConnectionSocket {
  readonly destroyed: boolean;
  readonly writable: boolean;
  /** Bytes that were written and not sent. */
  readonly writableLength: number;
  /** Where it differs from Node's. */
  readonly fd?: number;
  readonly account?: CallAccount;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end' | 'close' | 'drain', listener: () => void): unknown;
  off(event: 'data', listener: (chunk: Buffer) => void): unknown;
  /** False when it wants no more until 'drain'. */
  write(bytes: Uint8Array): boolean;
  cork(): void;
  uncork(): void;
  pause(): unknown;
  resume(): unknown;
  destroy(): unknown;
  /** When all that was written is sent. */
  destroySoon(): void;
}

/** Of one connection: which requests have come, and which of them have been answered. */
export interface CallAccount {
  /**
   * A request has come; nothing has been done for it. The bytes are not its keeper's.
   *
   * @param ended how many processes have been asked for it before, and have ended. Default 0.
   */
  asked(streamId: number, request: Uint8Array, ended?: number): void;
  /** Its last frame is among what was written to the socket. */
  answered(streamId: number): void;
  /** The last stream that its client has begun, be it one that was answered without the server. */
  lastStreamId(): number;
}

/** Node has no public way to a socket's descriptor. Undefined for one that is closed. */
export function descriptorOf(socket: ConnectionSocket): number | undefined {
  const fd = socket.fd ?? (socket as { _handle?: { fd?: unknown } | null })._handle?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}
