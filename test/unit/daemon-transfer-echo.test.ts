/** From stream to stream, as containerd's transfer service has it: the bytes come back as they were sent. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { ContainerdServicesTransferV1Transfer, containerd, isType, pack, type google } from '../../src/api/full.js';
import { Streams } from '../../src/daemon/transfer/streams.js';
import { transferService } from '../../src/daemon/transfer/service.js';
import { call, failure, handlersOf } from '../support/records.js';

type Any = google.protobuf.Any.$Properties;

const { Data, ImageExportStream, ImageImportStream, WindowUpdate } = containerd.types.transfer;
const name = (type: string): string => `containerd.types.transfer.${type}`;
const bytesOf = (any: Any): Uint8Array => any.value ?? new Uint8Array(0);

/** A client's end of a stream: what it sends, a piece at a time, and what it is sent. */
class ClientStream {
  readonly received: Any[] = [];
  readonly #sent: Any[] = [];
  #ended = false;
  #wake = (): void => undefined;
  readonly over: Promise<void>;

  constructor(
    streams: Streams,
    id: string,
    private readonly onMessage: (message: Any, self: ClientStream) => void,
  ) {
    this.send(pack('containerd.services.streaming.v1.StreamInit', containerd.services.streaming.v1.StreamInit, { id }));
    this.over = this.#serve(streams);
  }

  send(message: Any): void {
    this.#sent.push(message);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async #serve(streams: Streams): Promise<void> {
    for await (const message of streams.serve('ns', this.#requests(), new AbortController().signal)) {
      this.received.push(message);
      this.onMessage(message, this);
    }
  }

  async *#requests(): AsyncGenerator<Any> {
    for (;;) {
      for (let next = this.#sent.shift(); next !== undefined; next = this.#sent.shift()) yield next;
      if (this.#ended) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

test('what comes by an import stream goes out by an export stream, within both windows', async () => {
  const streams = new Streams();
  const { Transfer } = handlersOf(
    transferService({ streams } as Parameters<typeof transferService>[0]),
    ContainerdServicesTransferV1Transfer,
  );
  const sent = randomBytes(3_000_000);
  let at = 0;
  const input = new ClientStream(streams, 'in', (message, self) => {
    if (!isType(message, name('WindowUpdate'))) return;
    for (let room = WindowUpdate.decode(bytesOf(message)).update; room > 0 && at < sent.length;) {
      const data = sent.subarray(at, at + Math.min(room, 50_000));
      self.send(pack(name('Data'), Data, { data }));
      at += data.length;
      room -= data.length;
    }
    if (at === sent.length) self.end();
  });
  const output = new ClientStream(streams, 'out', (message, self) => {
    if (isType(message, 'google.protobuf.Empty'))
      self.send(pack(name('WindowUpdate'), WindowUpdate, { update: 100_000 }));
    if (isType(message, name('Data')))
      self.send(pack(name('WindowUpdate'), WindowUpdate, { update: Data.decode(bytesOf(message)).data.length }));
  });
  const transfer = (from: string, to: string): Promise<unknown> =>
    Transfer(
      new containerd.services.transfer.v1.TransferRequest({
        source: pack(name('ImageImportStream'), ImageImportStream, {
          stream: from,
          mediaType: 'application/octet-stream',
        }),
        destination: pack(name('ImageExportStream'), ImageExportStream, {
          stream: to,
          mediaType: 'application/octet-stream',
        }),
      }),
      call(),
    ) as Promise<unknown>;
  // Both are open once they have said so.
  await new Promise((resolve) => setImmediate(resolve));
  await transfer('in', 'out');
  await Promise.all([input.over, output.over]);
  const got = Buffer.concat(
    output.received
      .filter((message) => isType(message, name('Data')))
      .map((message) => Data.decode(bytesOf(message)).data),
  );
  assert.ok(got.equals(sent));
  await assert.rejects(transfer('in', 'out'), failure('stream "in": not found'));
});
