import type { ClientConnection } from './client-connection.js';
import { decodeResponse, EMPTY } from './envelope.js';
import { Exchange, streamClosed, type Opening } from './exchange.js';
import { Inbox, STREAM_FULL } from './inbox.js';
import type { MessageType, MethodKind } from './service.js';
import { Code, oversized, TtrpcError } from './status.js';
import { undecodable } from './unary-call.js';
import { encodeFrame, Flag, FrameType, MAX_MESSAGE_LENGTH, type Frame } from './wire.js';

/** A call of which one side or both send any number of messages. */
export class ClientStream<Req, Res> extends Exchange {
  readonly inbox: Inbox<Res>;
  #sendingOver: boolean;

  constructor(
    connection: ClientConnection,
    opening: Opening,
    private readonly kind: MethodKind,
    private readonly request: MessageType<Req, unknown>,
    private readonly response: Pick<MessageType<never, Res>, 'decode'>,
  ) {
    super(connection, opening);
    this.#sendingOver = kind === 'serverStream';
    this.inbox = new Inbox<Res>(
      connection.gate,
      connection.stallLimits,
      () => this.fail(new TtrpcError(Code.ResourceExhausted, STREAM_FULL)),
      () => this.cancel(),
    );
  }

  /** Sends one message; waits while the connection is busy. */
  async send(message: Req): Promise<void> {
    if (this.ended || this.#sendingOver) throw streamClosed();
    const payload = this.request.encode(message).finish();
    if (payload.length > MAX_MESSAGE_LENGTH) throw oversized(payload.length, MAX_MESSAGE_LENGTH);
    await this.connection.send(this, (streamId) => encodeFrame(streamId, FrameType.data, 0, payload));
  }

  /** Tells the server that no more messages come. */
  async closeSend(): Promise<void> {
    if (this.#sendingOver) return;
    this.#sendingOver = true;
    if (this.ended) return;
    const flags = Flag.remoteClosed | Flag.noData;
    try {
      await this.connection.send(this, (streamId) => encodeFrame(streamId, FrameType.data, flags, EMPTY));
    } catch (error) {
      // The call was over before this could be sent, and needs it no more.
      if (!this.ended) throw error;
    }
  }

  /** Forgets the call. Nothing is sent: ttrpc has no message for it. */
  cancel(): void {
    this.fail(new TtrpcError(Code.Canceled, 'context canceled'));
  }

  receive(frame: Frame): void {
    if (frame.payload === undefined) {
      this.fail(oversized(frame.length, MAX_MESSAGE_LENGTH));
      return;
    }
    try {
      if (frame.type === FrameType.response) this.#receiveResponse(frame.payload);
      else if (frame.type === FrameType.data) this.#receiveData(frame.flags, frame.payload);
    } catch (error) {
      this.fail(undecodable(error));
    }
  }

  protected failed(error: TtrpcError): void {
    this.inbox.fail(error);
  }

  #receiveResponse(bytes: Uint8Array): void {
    const result = decodeResponse(bytes);
    if (result instanceof TtrpcError) {
      this.fail(result);
      return;
    }
    // Where the server streams, a result is a last message; where it doesn't, it is the one reply, even when empty.
    if (this.kind === 'clientStream' || result.length > 0) this.inbox.push(this.response.decode(result));
    this.#finish();
  }

  #receiveData(flags: number, payload: Uint8Array): void {
    if (this.kind === 'clientStream') {
      this.fail(new TtrpcError(Code.Internal, 'ttrpc: protocol error: received data from non-streaming server'));
      return;
    }
    if ((flags & Flag.noData) === 0) this.inbox.push(this.response.decode(payload));
    if ((flags & Flag.remoteClosed) !== 0) this.#finish();
  }

  #finish(): void {
    if (this.end()) this.inbox.end();
  }
}
