import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerd, errdefs, timestamp, type google } from '../../src/api/full.js';
import { formatTime, later, parseTime } from '../../src/daemon/content/times.js';
import { EventExchange } from '../../src/daemon/events/exchange.js';
import { NativeDriver } from '../../src/daemon/snapshots/native.js';
import { Snapshots } from '../../src/daemon/snapshots/store.js';
import { encodeDeleteResponse } from '../../src/shim/program/delete-response.js';
import { realtime, realtimeMillis } from '../../src/sys/index.js';
import { openRecords, recorder, workDirectory } from '../support/records.js';

type Time = google.protobuf.Timestamp.$Properties | null | undefined;

const ns = (time: Time): bigint => BigInt(Number(time?.seconds ?? 0)) * 1_000_000_000n + BigInt(time?.nanos ?? 0);
/** As another program reads the clock. */
const elsewhere = (): bigint => BigInt(execFileSync('date', ['+%s%N'], { encoding: 'utf8' }).trim());

test('the clock is that of other programs, to the nanosecond', () => {
  for (let n = 0; n < 5; n++) {
    const [before, now, ms, after] = [elsewhere(), ns(realtime()), ns(timestamp(realtimeMillis())), elsewhere()];
    assert.ok(before <= now && now <= ms && ms <= after, `${before} ${now} ${ms} ${after}`);
  }
  const readings = Array.from({ length: 50 }, () => realtime().nanos);
  assert.ok(
    readings.some((nanos) => nanos % 1000 !== 0),
    readings.join(),
  );
  // A number of milliseconds, rounded up, is never before the clock.
  for (let n = 0; n < 10_000; n++) {
    const before = ns(realtime());
    assert.ok(ns(timestamp(realtimeMillis())) >= before);
  }
});

test('records, events and exits have times between those that a client reads before and after', async (t) => {
  const dir = workDirectory();
  const records = openRecords(t, dir);
  const snapshots = new Snapshots('native', new NativeDriver(join(dir, 'native')), {
    ...records,
    publish: recorder().publish,
    changed: () => undefined,
  });
  const between = async (what: string, work: () => Promise<readonly Time[]>): Promise<void> => {
    const before = elsewhere();
    const times = await work();
    const after = elsewhere();
    for (const time of times)
      assert.ok(before <= ns(time) && ns(time) <= after, `${what}: ${before} ${ns(time)} ${after}`);
  };
  const container = { id: 'c', runtime: { name: 'r' }, spec: { type_url: 's' } };
  await between('container', async () => Object.values(pick(await records.containers.create('ns', container))));
  await between('its update', async () => [
    (await records.containers.update('ns', { ...container, labels: { a: 'b' } }, ['labels'])).updatedAt,
  ]);
  await between('lease', async () => [(await records.leases.create('ns', { id: 'l' })).createdAt]);
  await between('content', async () => {
    const { digest } = await records.content.put('ns', 'r', Buffer.from('x'));
    return Object.values(pick(records.content.info('ns', digest)));
  });
  await between('its update', async () => [
    (await records.content.update('ns', { digest: records.content.list('ns', [])[0]!.digest!, labels: {} }, []))
      .updatedAt,
  ]);
  await between('write', async () => {
    const ingest = await records.content.ingest('ns', 'w', {});
    await ingest.write(Buffer.from('x'));
    const open = ingest.status();
    await ingest.close();
    const closed = records.content.status('ns', 'w');
    return [open.startedAt, open.updatedAt, closed.startedAt, closed.updatedAt];
  });
  const target = { mediaType: 'm', digest: records.content.list('ns', [])[0]!.digest!, size: 1 };
  await between('image', async () => Object.values(pick(await records.images.create('ns', { name: 'i', target }))));
  await between('its update', async () => [(await records.images.update('ns', { name: 'i', target }, [])).updatedAt]);
  await between('snapshot', async () => {
    await snapshots.prepare('ns', 'k', '', {});
    return Object.values(pick(snapshots.stat('ns', 'k')));
  });
  await between('its commit and update', async () => {
    await snapshots.commit('ns', 'base', 'k', {});
    return [
      ...Object.values(pick(snapshots.stat('ns', 'base'))),
      (await snapshots.update('ns', { name: 'base', labels: {} }, [])).updatedAt,
    ];
  });
  await between('event', async () => {
    const exchange = new EventExchange();
    const events = exchange.subscribe([], new AbortController().signal)[Symbol.asyncIterator]();
    exchange.publish('ns', '/x', { type_url: 'x' });
    const next = await events.next();
    return [next.done === true ? undefined : next.value.timestamp];
  });
  await between('exit that nobody has seen', () =>
    Promise.resolve([containerd.task.v2.DeleteResponse.decode(encodeDeleteResponse({})).exitedAt]),
  );
});

test('times in files have nanoseconds, and those that were written without are read', async (t) => {
  assert.deepEqual(parseTime('2026-01-02T03:04:05.000000007Z\n'), { seconds: 1_767_323_045, nanos: 7 });
  assert.deepEqual(parseTime('2026-01-02T03:04:05.12Z'), { seconds: 1_767_323_045, nanos: 120_000_000 });
  assert.deepEqual(parseTime('2026-01-02T04:04:05+01:00'), { seconds: 1_767_323_045, nanos: 0 });
  assert.equal(parseTime(''), undefined);
  const moment = { seconds: 1_767_323_045, nanos: 7 };
  assert.equal(formatTime(moment), '2026-01-02T03:04:05.000000007Z');
  assert.deepEqual(
    [later(moment, { seconds: 1, nanos: 9 }), later(moment, { ...moment, nanos: 8 })],
    [moment, { ...moment, nanos: 8 }],
  );
  const { content, files } = openRecords(t);
  await (await content.ingest('ns', 'r', {})).close();
  writeFileSync(join(files.ingestDirectory('ns/1/r'), 'startedat'), '2026-01-02T03:04:05.123Z');
  assert.deepEqual(content.status('ns', 'r').startedAt, { seconds: 1_767_323_045, nanos: 123_000_000 });
});

function pick({ createdAt, updatedAt }: { createdAt?: Time; updatedAt?: Time }): { createdAt: Time; updatedAt: Time } {
  if (!createdAt || !updatedAt) throw errdefs.unknown('a time is missing');
  return { createdAt, updatedAt };
}
