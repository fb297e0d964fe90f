import type { ClientConnection } from './client-connection.js';
import { decodeResponse } from './envelope.js';
import { Exchange, type Opening } from './exchange.js';
import type { MessageType } from './service.js';
import { Code, oversized, textOf, TtrpcError } from './status.js';
import { FrameType, MAX_MESSAGE_LENGTH, type Frame } from './wire.js';

/** A call with one request and one reply. */
export class UnaryCall<Res> extends Exchange {
  constructor(
    connection: ClientConnection,
    opening: Opening,
    private readonly response: Pick<MessageType<never, Res>, 'decode'>,
    private readonly resolve: (reply: Res) => void,
    protected readonly failed: (error: TtrpcError) => void,
  ) {
    super(connection, opening);
  }

  receive(frame: Frame): void {
    if (frame.payload === undefined) {
      this.fail(oversized(frame.length, MAX_MESSAGE_LENGTH));
      return;
    }
    if (frame.type === FrameType.data) {
      this.fail(new TtrpcError(Code.Internal, 'ttrpc: protocol error: data frame in reply to a unary call'));
      return;
    }
    if (frame.type !== FrameType.response) return;
    let reply: Res;
    try {
      const result = decodeResponse(frame.payload);
      if (result instanceof TtrpcError) {
        this.fail(result);
        return;
      }
      reply = this.response.decode(result);
    } catch (error) {
      this.fail(undecodable(error));
      return;
    }
    if (this.end()) this.resolve(reply);
  }
}

/** The error for a response or a message that makes no sense. */
export function undecodable(error: unknown): TtrpcError {
  return new TtrpcError(Code.Internal, `ttrpc: error unmarshalling response: ${textOf(error)}`, { cause: error });
}
