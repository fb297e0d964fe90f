/** What containers have printed, of their logs. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  AbortError,
  FailedPreconditionError,
  InvalidArgumentError,
  type LogEntry,
  type LogOptions,
  type Container,
} from '../../src/client/index.js';
import { ClientLab, sh } from '../support/client-lab.js';
import { eventually, within } from '../support/eventually.js';

let lab: ClientLab;
before(async () => {
  lab = await ClientLab.open();
});
after(() => lab.close());

async function all(container: Container, options?: LogOptions): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const entry of container.logs(options)) entries.push(entry);
  return entries;
}

const text = (entries: readonly LogEntry[]): string => entries.map(({ bytes }) => bytes.toString()).join('');
const uriOf = (name: string, query: string): string => `file://${join(lab.daemon.dir, name)}${query}`;

test('logs: each line with its time and its stream, chosen by them, with or without times before it', async () => {
  const uri = uriOf('some.log', '?format=cri&max-size=10m&max-files=3');
  const before = new Date();
  const { container, process } = await lab.start(
    sh('echo one; sleep 0.05; echo two >&2; sleep 0.05; printf three'),
    {},
    { stdout: uri, stderr: uri },
  );
  await process.wait();
  await eventually('all is written', async () => (await all(container)).length === 3);
  const entries = await all(container);
  assert.deepEqual(
    entries.map(({ stream, bytes }) => [stream, bytes.toString()]),
    [
      ['stdout', 'one\n'],
      ['stderr', 'two\n'],
      ['stdout', 'three'],
    ],
  );
  const times = entries.map(({ time }) => time!);
  assert.ok(times.every((time) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(time)));
  assert.ok(times[0]! >= before.toISOString().slice(0, 23) && times[0]! < times[1]! && times[1]! < times[2]!);
  assert.equal(text(await all(container, { stderr: false })), 'one\nthree');
  assert.equal(text(await all(container, { stdout: false })), 'two\n');
  assert.equal(text(await all(container, { tail: 2 })), 'two\nthree');
  assert.equal(text(await all(container, { since: times[1]!, until: times[1]! })), 'two\n');
  assert.equal(text(await all(container, { since: before })), 'one\ntwo\nthree');
  assert.equal(text(await all(container, { until: before })), '');
  assert.equal(text(await all(container, { since: '10m', timestamps: true, tail: 1 })), `${times[2]!} three`);
  await assert.rejects(all(container, { since: 'yesterday' }), InvalidArgumentError);
  // The record of the task is gone with it, and nothing else says where its log is.
  await container.deleteTask();
  await assert.rejects(all(container), FailedPreconditionError);
  await container.delete();
});

test('logs that are followed end with the container, when their time has come, or when they are given up', async () => {
  const uri = uriOf('followed.log', '?format=cri');
  const { container, process } = await lab.start(
    sh('read line; echo "$line"; read line; echo "$line" >&2'),
    {},
    { stdin: 'pipe', stdout: uri, stderr: uri },
  );
  const followed = all(container, { follow: true });
  const ended = all(container, { follow: true, until: new Date(Date.now() + 300) });
  assert.equal(text(await within('its time', ended)), '');
  const controller = new AbortController();
  const seen: string[] = [];
  const givenUp = (async () => {
    for await (const { bytes } of container.logs({ follow: true, signal: controller.signal })) {
      seen.push(bytes.toString());
      controller.abort();
    }
  })();
  process.stdin.write('one\n');
  await assert.rejects(within('giving up', givenUp), AbortError);
  assert.deepEqual(seen, ['one\n']);
  // Who has enough just leaves.
  for await (const { bytes } of container.logs({ follow: true })) {
    assert.equal(bytes.toString(), 'one\n');
    break;
  }
  process.stdin.end('two\n');
  assert.equal(text(await within('the end', followed)), 'one\ntwo\n');
  await container.delete({ kill: true });
});

test('logs of bytes have one stream and no times; output that goes to no file has none', async () => {
  const uri = uriOf('raw.log', '');
  const { container, process } = await lab.start(sh('echo out; echo err >&2'), {}, { stdout: uri, stderr: uri });
  await process.wait();
  await eventually('all is written', async () => text(await all(container)) === 'out\nerr\n');
  assert.deepEqual(
    (await all(container)).map(({ time, stream }) => [time, stream]),
    [[undefined, 'stdout']],
  );
  await assert.rejects(all(container, { timestamps: true }), FailedPreconditionError);
  await container.delete({ kill: true });
  const piped = await lab.start(['true']);
  await assert.rejects(all(piped.container), FailedPreconditionError);
  await piped.container.delete({ kill: true });
});
