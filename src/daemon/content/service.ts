import { ContainerdServicesContentV1Content, containerd, errdefs } from '../../api/full.js';
import { bindService, type BoundService, type Call } from '../grpc/service.js';
import { checkDigest } from '../db/validate.js';
import { isNotFound, outOfRange } from '../failures.js';
import type { ContentStore, Ingest } from './types.js';

const { WriteAction } = containerd.services.content.v1;
type WriteRequest = containerd.services.content.v1.WriteContentRequest;
type WriteResponse = containerd.services.content.v1.WriteContentResponse.$Properties;

/** Bytes in a message of Read, and records in one of List. */
const CHUNK = 1 << 20;
const BLOCK = 100;

/** The Content service over a store. */
export function contentService(store: ContentStore): BoundService {
  return bindService(ContainerdServicesContentV1Content, {
    Info: ({ digest }, { namespace }) => {
      check(digest);
      return { info: store.info(namespace, digest) };
    },
    Update: async ({ info, updateMask }, { namespace }) => {
      check(info?.digest ?? '');
      return { info: await store.update(namespace, info ?? {}, updateMask?.paths ?? []) };
    },
    *List({ filters }, { namespace }) {
      const infos = store.list(namespace, filters);
      for (let n = 0; n < infos.length; n += BLOCK) yield { info: infos.slice(n, n + BLOCK) };
    },
    Delete: async ({ digest }, { namespace, lease }) => {
      checkDigest(digest);
      await store.delete(namespace, digest, lease);
      return {};
    },
    Read: (request, { namespace }) => read(store, namespace, request),
    Status: ({ ref }, { namespace }) => ({ status: store.status(namespace, ref) }),
    ListStatuses: ({ filters }, { namespace }) => ({ statuses: store.statuses(namespace, filters) }),
    Write: (requests, call) => write(store, requests, call),
    Abort: async ({ ref }, { namespace, lease }) => {
      await store.abort(namespace, ref, lease);
      return {};
    },
  });
}

function check(digest: string): void {
  try {
    checkDigest(digest);
  } catch (error) {
    throw errdefs.invalidArgument(`${JSON.stringify(digest)} failed validation`, error);
  }
}

async function* read(
  store: ContentStore,
  namespace: string,
  request: containerd.services.content.v1.ReadContentRequest,
): AsyncGenerator<containerd.services.content.v1.ReadContentResponse.$Properties> {
  checkDigest(request.digest);
  const blob = await store.open(namespace, request.digest);
  try {
    const from = Math.max(0, Number(request.offset));
    if (from > blob.size) throw outOfRange(`read past object length ${blob.size} bytes`);
    const wanted = Number(request.size);
    const end = wanted <= 0 ? blob.size : Math.min(blob.size, from + wanted);
    // The offset counts from where the reader began, as containerd's does.
    for (let at = from; at < end;) {
      const data = await blob.read(at, Math.min(CHUNK, end - at));
      if (data.length === 0) return;
      yield { offset: at - from, data };
      at += data.length;
    }
  } finally {
    await blob.close();
  }
}

/** One writer's conversation: every message is answered, and a commit ends it. */
async function* write(
  store: ContentStore,
  requests: AsyncIterable<WriteRequest>,
  call: Call,
): AsyncGenerator<WriteResponse> {
  let ingest: Ingest | undefined;
  let total = 0;
  let expected = '';
  let ref = '';
  try {
    for await (const request of requests) {
      if (ingest === undefined) {
        ref = request.ref;
        if (ref === '') throw errdefs.invalidArgument('first message must have a reference');
        total = Number(request.total);
        expected = request.expected;
        ingest = await store.ingest(call.namespace, ref, { total, expected, lease: call.lease });
      }
      if (request.expected !== '') {
        expected = request.expected;
        await refuseExisting(store, ingest, ref, expected, call);
      }
      if (Number(request.total) > 0) total = Number(request.total);
      yield await step(ingest, request, total, expected);
      if (request.action === WriteAction.COMMIT) return;
    }
  } finally {
    await ingest?.close();
  }
}

/** What is to be written turns out to be there: the write is taken back. */
async function refuseExisting(
  store: ContentStore,
  ingest: Ingest,
  ref: string,
  expected: string,
  call: Call,
): Promise<void> {
  // The writer will take it for its own, so its lease has to keep it.
  if (!(await store.keep(call.namespace, expected, call.lease))) return;
  await ingest.close();
  try {
    await store.abort(call.namespace, ref, call.lease);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  throw errdefs.alreadyExists(`blob with expected digest ${expected} exists`);
}

async function step(ingest: Ingest, request: WriteRequest, total: number, expected: string): Promise<WriteResponse> {
  const { offset, startedAt, updatedAt } = ingest.status();
  let at = Number(offset ?? 0);
  if (request.action === WriteAction.STAT)
    return {
      action: request.action,
      offset: at,
      total,
      digest: ingest.digest(),
      startedAt: startedAt ?? null,
      updatedAt: updatedAt ?? null,
    };
  const from = Number(request.offset);
  if (from > 0 && from !== at) throw outOfRange(`write @${from} must occur at current offset ${at}`);
  if (from === 0 && at > 0) {
    await ingest.truncate(0);
    at = 0;
  }
  await ingest.write(request.data);
  at += request.data.length;
  const digest =
    request.action === WriteAction.COMMIT ? await ingest.commit(total, expected, request.labels) : ingest.digest();
  return { action: request.action, offset: at, digest };
}
