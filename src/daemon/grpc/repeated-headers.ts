/**
 * Headers that a client sends more than once. Go's client does so when it is told its namespace or lease twice, the latest first,
 * and containerd reads the first value. Node joins the values by commas, from which they cannot be told any more, as a value may
 * have commas of its own; and the gRPC library is given no more than that.
 */
import type { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http2';
import type { Server } from '@grpc/grpc-js';

/** What grpc-js keeps of its HTTP/2 servers, of which it says nothing in its interface. */
interface Inside {
  readonly http2Servers?: ReadonlyMap<EventEmitter, unknown>;
}

/** Has a server's metadata keep every value of a header. Call it when its HTTP/2 servers are made, and before they serve. */
export function keepRepeatedHeaders(server: Server): void {
  const { http2Servers } = server as unknown as Inside;
  if (!(http2Servers instanceof Map))
    throw new Error(
      'this version of grpc-js keeps its HTTP/2 servers elsewhere: headers that are sent twice could not be read',
    );
  for (const http2Server of http2Servers.keys() as IterableIterator<EventEmitter>) {
    // In front of the library's own listener, which reads the same object.
    http2Server.prependListener(
      'stream',
      (_stream: unknown, headers: IncomingHttpHeaders, _flags: number, raw: readonly string[]) =>
        separate(headers, raw),
    );
  }
}

/** Puts a list in the place of values that were joined. `raw` has names and values in turn, as they came. */
export function separate(headers: IncomingHttpHeaders, raw: readonly string[]): void {
  const seen = new Map<string, string[]>();
  for (let n = 0; n + 1 < raw.length; n += 2) {
    const [name, value] = [raw[n]!, raw[n + 1]!];
    const values = seen.get(name);
    if (values === undefined) seen.set(name, [value]);
    else {
      values.push(value);
      // Of some headers Node keeps the first value only, and so may the library.
      if (!name.startsWith(':') && headers[name] === values.join(', ')) headers[name] = [...values];
    }
  }
}
