/** Speaks frames by hand, to say what a well-behaved ttrpc peer would not. */
import { connect, createServer, type Socket } from 'node:net';
import { ttrpc } from '../../src/ttrpc/gen/ttrpc.js';
import { FrameDecoder, writeHeader, type Frame } from '../../src/ttrpc/wire.js';

/** A frame in one piece, whatever its length. */
export function rawFrame(streamId: number, type: number, flags = 0, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const frame = Buffer.alloc(10 + payload.length);
  writeHeader(frame, streamId, type, flags, payload.length);
  frame.set(payload, 10);
  return frame;
}

/** A request's frame. */
export function rawRequest(streamId: number, request: ttrpc.Request.$Properties, flags = 0): Buffer {
  return rawFrame(streamId, 1, flags, ttrpc.Request.encode(request).finish());
}

/** One end of a connection. Frames that come are kept until they are asked for. */
export class RawPeer {
  readonly closed: Promise<void>;
  readonly #frames: Frame[] = [];
  readonly #waiters: ((frame: Frame) => void)[] = [];

  constructor(readonly socket: Socket) {
    const decoder = new FrameDecoder();
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.on('close', () => resolve()));
    socket.on('data', (chunk: Buffer) => {
      decoder.push(chunk);
      for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
        const waiter = this.#waiters.shift();
        if (waiter === undefined) this.#frames.push(frame);
        else waiter(frame);
      }
    });
  }

  static connect(path: string): Promise<RawPeer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ path });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawPeer(socket)));
    });
  }

  /** Listens, and gives whoever connects first. */
  static listen(path: string): Promise<{ accepted: Promise<RawPeer>; stop: () => void }> {
    return new Promise((listening) => {
      const accepted = new Promise<RawPeer>((resolve) => {
        const server = createServer((socket) => resolve(new RawPeer(socket)));
        server.listen(path, () => listening({ accepted, stop: () => server.close() }));
      });
    });
  }

  write(...bytes: Uint8Array[]): void {
    for (const part of bytes) this.socket.write(part);
  }

  /** The frames that have come and were not asked for. */
  get pending(): number {
    return this.#frames.length;
  }

  frame(): Promise<Frame> {
    const frame = this.#frames.shift();
    return frame === undefined ? new Promise((resolve) => this.#waiters.push(resolve)) : Promise.resolve(frame);
  }

  /** The next frame, which must be a response: its stream, status and payload. */
  async response(): Promise<{ streamId: number; code: number; message: string; payload: Buffer }> {
    const frame = await this.frame();
    if (frame.type !== 2) throw new Error(`frame type ${frame.type} instead of a response`);
    const { status, payload } = ttrpc.Response.decode(frame.payload!);
    return {
      streamId: frame.streamId,
      code: status?.code ?? 0,
      message: status?.message ?? '',
      payload: Buffer.from(payload),
    };
  }

  /** The next frame, which must be a request. */
  async request(): Promise<{ streamId: number; flags: number; request: ttrpc.Request }> {
    const frame = await this.frame();
    if (frame.type !== 1) throw new Error(`frame type ${frame.type} instead of a request`);
    return { streamId: frame.streamId, flags: frame.flags, request: ttrpc.Request.decode(frame.payload!) };
  }
}
