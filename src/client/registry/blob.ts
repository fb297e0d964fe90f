/** Bytes of a blob from one host, whatever breaks in between. */
import type { Descriptor } from '../../oci/image.js';
import { Code } from '../../ttrpc/status.js';
import { ClientError } from '../errors.js';
import { failure } from './failure.js';
import type { HostClient } from './host-client.js';
import { beforeNext, type Patience } from './retry.js';
import type { HttpResponse } from './transport.js';

interface Reading {
  /** Where to begin. */
  readonly from: number;
  readonly patience: Patience;
  readonly signal: AbortSignal | undefined;
}

/**
 * The bytes from a place on to the end. After a break they are asked for from there on (Range); a host that gives them from the beginning
 * all the same is heard out. Only failures in a row count: a connection that breaks again and again gets there.
 */
export async function* readBlob(
  client: HostClient,
  path: string,
  { digest, size }: Descriptor,
  { from, patience, signal }: Reading,
): AsyncGenerator<Uint8Array> {
  const what = `blob ${digest} of ${client.host.mirrorOf ?? client.host.name}/${path}`;
  let at = from;
  for (let failures = 0; at < size || size === 0;) {
    try {
      const response = await client.send({
        method: 'GET',
        path: `/${path}/blobs/${digest}`,
        // Of something that is compressed on the way, places could not be counted.
        headers: { 'accept-encoding': 'identity', ...(at > 0 ? { range: `bytes=${at}-` } : {}) },
        scope: `repository:${path}:pull`,
        accept: [200, 206],
        signal,
        what,
      });
      try {
        let skip = at - beginOf(response, at, what, client.host.name);
        for await (const chunk of chunksOf(client, response, what, signal)) {
          const left = Math.min(skip, chunk.length);
          skip -= left;
          const piece = chunk.subarray(left);
          if (piece.length === 0) continue;
          if (at + piece.length > size)
            throw failure(`${what}: ${client.host.name} gives more than the ${size} bytes that it must have`, {
              code: Code.DataLoss,
            });
          at += piece.length;
          failures = 0;
          yield piece;
        }
      } finally {
        response.discard();
      }
      if (at === size) return;
      throw failure(`${what}: ${client.host.name} gives ${at} of ${size} bytes`, {
        code: Code.Unavailable,
        transient: true,
      });
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      await beforeNext(error, ++failures, patience, signal);
    }
  }
}

/** Which byte of the blob an answer begins with. */
function beginOf({ status, headers }: HttpResponse, asked: number, what: string, host: string): number {
  if (status === 200) return 0;
  const begin = /^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1];
  if (begin === undefined || Number(begin) > asked)
    throw failure(`${what}: ${host} gives another part of it than it was asked for`, { code: Code.DataLoss });
  return Number(begin);
}

async function* chunksOf(
  client: HostClient,
  response: HttpResponse,
  what: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const iterator = (response.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<Buffer>;
    try {
      next = await iterator.next();
    } catch (error) {
      throw client.failure(what, error, signal);
    }
    if (next.done === true) return;
    yield next.value;
  }
}
