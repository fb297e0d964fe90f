/** Between the library's streams and handlers that take and give iterables: the four kinds of methods. */
import type { EventEmitter } from 'node:events';
import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { MethodKind } from '../../ttrpc/service.js';
import { Code, TtrpcError } from '../../ttrpc/status.js';
import { GrpcCall } from './call.js';

export type Run = (input: unknown, call: GrpcCall) => unknown;
type Unary = ServerUnaryCall<unknown, unknown>;
type Incoming = ServerReadableStream<unknown, unknown>;
type Outgoing = ServerWritableStream<unknown, unknown>;
type Both = ServerDuplexStream<unknown, unknown>;
interface Status {
  code: number;
  details: string;
}

/** The function that the library calls for one method. */
export function answer(service: string, method: string, kind: MethodKind, run: Run, log: Logger): unknown {
  const context = (call: Unary | Incoming | Outgoing): GrpcCall => {
    const deadline = Number(call.getDeadline());
    const told = new GrpcCall(service, method, Number.isFinite(deadline) ? deadline : undefined, (name) => {
      const [value] = call.metadata.get(name);
      return value?.toString();
    });
    (call as EventEmitter).once('cancelled', () => told.cancel());
    return told;
  };
  const failed = (thrown: unknown, call: GrpcCall): Status => statusOf(thrown, call, log);

  const reply = async (input: unknown, call: Unary | Incoming, callback: sendUnaryData<unknown>): Promise<void> => {
    const told = context(call);
    try {
      callback(null, await run(input, told));
    } catch (error) {
      callback(failed(error, told));
    }
  };
  const stream = async (input: unknown, call: Outgoing, told: GrpcCall): Promise<void> => {
    try {
      await send((await run(input, told)) as AsyncIterable<unknown>, call);
      call.end();
    } catch (error) {
      const status = failed(error, told);
      if (!call.destroyed) call.emit('error', status);
    }
  };

  switch (kind) {
    case 'unary':
      return (call: Unary, callback: sendUnaryData<unknown>) => {
        void reply(call.request, call, callback);
      };
    case 'clientStream':
      return (call: Incoming, callback: sendUnaryData<unknown>) => {
        void reply(received(call), call, callback);
      };
    case 'serverStream':
      return (call: Outgoing) => {
        void stream(call.request, call, context(call));
      };
    case 'bidi':
      return (call: Both) => {
        void stream(received(call), call as unknown as Outgoing, context(call));
      };
  }
}

/** The messages of a client. A message is read from the connection when there is room for it. Leaving early leaves the call open. */
async function* received(call: Incoming): AsyncGenerator<unknown, void, undefined> {
  try {
    for await (const message of call.iterator({ destroyOnReturn: false })) yield message;
  } catch (error) {
    if (call.cancelled) throw new TtrpcError(Code.Canceled, 'context canceled', { cause: error });
    throw error;
  }
}

/** Sends a handler's messages. The next one is asked for when the last but one has gone out to the connection. */
async function send(messages: AsyncIterable<unknown>, call: Outgoing): Promise<void> {
  const gone = new Promise<void>((resolve) => {
    call.once('cancelled', resolve);
    call.once('close', resolve);
  });
  let flushed = Promise.resolve();
  for await (const message of messages) {
    await Promise.race([flushed, gone]);
    if (call.cancelled || call.destroyed) return;
    flushed = new Promise<void>((resolve) => {
      call.write(message, () => resolve());
    });
  }
}

/** gRPC's status for whatever a handler threw. What is no outcome but a defect is logged, as its caller can only repeat it. */
function statusOf(thrown: unknown, { service, method }: GrpcCall, log: Logger): Status {
  const error = TtrpcError.from(thrown);
  const isDefect = !(thrown instanceof TtrpcError) && error.code === Code.Internal;
  if (isDefect) log.error({ err: thrown, service, method }, 'defect in the handler of a call');
  else log.trace({ service, method, code: error.codeName, error: error.message }, 'call failed');
  // A lone half of a character cannot be sent; code 0 would be taken for a success.
  return { code: error.code || Code.Unknown, details: error.message.replace(/\p{Surrogate}/gu, '\ufffd') };
}
