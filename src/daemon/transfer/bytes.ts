/** Bytes over a stream, as containerd's client sends and receives them: in pieces, as far as the receiver has opened its window. */
import { containerd, errdefs, isType, pack } from '../../api/full.js';
import type { OpenStream } from './streams.js';

const { Data, WindowUpdate } = containerd.types.transfer;
/** Bytes in one message, and those that may be under way. */
const PIECE = 32 << 10;
const WINDOW = 1 << 20;

export async function* receiveBytes(stream: OpenStream): AsyncGenerator<Uint8Array> {
  let window = 0;
  for (;;) {
    if (window <= WINDOW / 2) {
      stream.send(pack('containerd.types.transfer.WindowUpdate', WindowUpdate, { update: WINDOW }));
      window += WINDOW;
    }
    const next = await stream.received.next();
    if (next.done === true) return;
    const { value } = next;
    if (!isType(value, 'containerd.types.transfer.Data'))
      throw errdefs.invalidArgument(`the stream has a ${value.type_url ?? ''} among its data`);
    const { data } = Data.decode(value.value ?? new Uint8Array(0));
    window -= data.length;
    yield data;
  }
}

export async function sendBytes(stream: OpenStream, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  let room = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      while (room <= 0) {
        const next = await stream.received.next();
        if (next.done === true) throw errdefs.unavailable('the client has gone in the midst of the archive');
        const { value } = next;
        if (isType(value, 'containerd.types.transfer.WindowUpdate'))
          room += WindowUpdate.decode(value.value ?? new Uint8Array(0)).update;
      }
      const data = chunk.subarray(at, at + Math.min(PIECE, room));
      stream.send(pack('containerd.types.transfer.Data', Data, { data }));
      at += data.length;
      room -= data.length;
    }
  }
}
