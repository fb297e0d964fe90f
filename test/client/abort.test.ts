/** Calls that are given up in the middle: they leave nothing behind. */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { AbortError, Client, DeadlineExceededError, NotFoundError, type Container } from '../../src/client/index.js';
import { ClientLab, sh } from '../support/client-lab.js';
import { eventually, within } from '../support/eventually.js';

let lab: ClientLab;
let container: Container;

before(async () => {
  lab = await ClientLab.open();
  container = await lab.idle();
});
after(() => lab.close());

const isAbort = (error: unknown): boolean => error instanceof AbortError && error.name === 'AbortError';

/** Begins a call, aborts it, and sees it fail for that. */
async function aborted(call: (signal: AbortSignal) => Promise<unknown>, afterMs = 0): Promise<void> {
  const controller = new AbortController();
  const running = call(controller.signal);
  setTimeout(() => controller.abort(new Error('enough')), afterMs);
  await assert.rejects(
    within('the abort', running),
    (error) => isAbort(error) && ((error as Error).cause as Error).message === 'enough',
  );
}

test('a signal that has aborted before the call', async () => {
  const signal = AbortSignal.abort();
  await assert.rejects(lab.client.version({ signal }), isAbort);
  await assert.rejects(container.exec({ args: ['true'], signal }), isAbort);
  await assert.rejects(lab.create(['true'], { id: 'never', signal }), isAbort);
  await assert.rejects(Client.connect({ address: lab.client.address, signal }), isAbort);
  await assert.rejects(container.output(['true'], { signal }), isAbort);
});

for (const ms of [0, 1, 3, 10, 30, 60]) {
  test(`creating, starting and an exec, ${ms} ms after their begin`, async () => {
    const id = `aborted-${ms}`;
    const creating = new AbortController();
    setTimeout(() => creating.abort(), ms);
    const made = await lab.create(['sleep', '1000'], { id, signal: creating.signal }).catch((error: unknown) => {
      assert.ok(isAbort(error), String(error));
      return undefined;
    });
    if (made === undefined) await assert.rejects(lab.client.load(id), NotFoundError);
    const other = made ?? (await lab.create(['sleep', '1000'], { id }));

    const starting = new AbortController();
    setTimeout(() => starting.abort(), ms);
    const process = await other.start({ signal: starting.signal }).catch((error: unknown) => {
      assert.ok(isAbort(error), String(error));
      return undefined;
    });
    if (process === undefined) await assert.rejects(other.status(), NotFoundError);
    await other.delete({ kill: true });

    const running = new AbortController();
    setTimeout(() => running.abort(), ms);
    const exec = await container
      .exec({ id: `e${ms}`, args: ['sleep', '1000'], signal: running.signal })
      .catch((error: unknown) => {
        assert.ok(isAbort(error), String(error));
        return undefined;
      });
    if (exec === undefined) await assert.rejects(container.status({ exec: `e${ms}` }), NotFoundError);
    await exec?.kill('KILL');
    await exec?.result();
  });
}

test('a start that hangs', async () => {
  const hook = join(lab.daemon.dir, 'hook');
  writeFileSync(hook, '#!/bin/sh\nexec sleep 1000\n');
  chmodSync(hook, 0o755);
  const other = await lab.create(['true'], { spec: (spec) => void (spec.hooks = { createRuntime: [{ path: hook }] }) });
  await aborted((signal) => other.start({ signal }), 300);
  await assert.rejects(other.status(), NotFoundError);
  await other.delete();
});

test('output(): the process is killed', async () => {
  await aborted((signal) => container.output(sh('echo $$ >/tmp/pid; exec sleep 100000'), { signal }), 200);
  const { processes } = await lab.client.services.tasks.ListPids({ containerId: container.id });
  assert.equal(processes.length, 1);
});

test('waiting: the process is not touched', async () => {
  const process = await container.exec({ args: ['sleep', '1000'], stdout: 'ignore', stderr: 'ignore' });
  await aborted((signal) => process.wait({ signal }));
  await aborted((signal) => process.result({ signal }));
  await aborted((signal) => container.wait({ signal }));
  assert.equal((await container.status({ exec: process.id })).state, 'running');
  await process.kill('KILL');
  await process.wait();
});

test('result(): what was read is with the error, and another call goes on from there', async () => {
  const process = await container.exec({ args: sh('echo one; echo two >&2; read line; echo $line'), stdin: 'pipe' });
  const controller = new AbortController();
  const running = process.result({ signal: controller.signal, encoding: 'buffer' });
  running.catch(() => undefined);
  await eventually('the output', async () => {
    const late = await process.result({ timeoutMs: 20 }).catch((error: unknown) => error);
    assert.ok(late instanceof DeadlineExceededError);
    return late.output?.stdout === 'one\n' && late.output.stderr === 'two\n';
  });
  controller.abort();
  await assert.rejects(running, (error) => {
    assert.ok(error instanceof AbortError);
    assert.deepEqual(error.output, { stdout: Buffer.from('one\n'), stderr: Buffer.from('two\n') });
    return true;
  });
  process.stdin.end('three\n');
  assert.deepEqual(await process.result(), { stdout: 'one\nthree\n', stderr: 'two\n', exitCode: 0 });
  assert.equal((await process.result()).stdout, 'one\nthree\n');
  const killed = await container
    .output(sh('echo begun; sleep 1000'), { timeoutMs: 300 })
    .catch((error: unknown) => error);
  assert.ok(killed instanceof DeadlineExceededError);
  assert.equal(killed.output?.stdout, 'begun\n');
});

test('an import: neither image nor lease stays', async () => {
  const never = new PassThrough();
  never.write(Buffer.alloc(100));
  await aborted((signal) => lab.client.images.import(never, { signal }), 50);
  assert.deepEqual(await lab.client.images.list(), []);
  assert.equal(never.destroyed, true);
});

test('events and watching', async () => {
  const controller = new AbortController();
  const seen: string[] = [];
  const watcher = await lab.client.watch(({ kind }) => void seen.push(kind), { signal: controller.signal });
  const events = (async () => {
    for await (const { topic } of lab.client.events({ signal: controller.signal })) seen.push(topic);
  })();
  setTimeout(() => controller.abort(), 20);
  await assert.rejects(within('the events to end', events), isAbort);
  await within('the watching to end', watcher.done);
});

test('a time limit is a DeadlineExceededError', async () => {
  await assert.rejects(container.wait({ timeoutMs: 20 }), DeadlineExceededError);
  await assert.rejects(container.output(['sleep', '1000'], { timeoutMs: 200 }), DeadlineExceededError);
});

test('nothing is left', async () => {
  await eventually('the execs to go', async () => (await container.listPids()).length === 1);
  await container.delete({ kill: true });
  await lab.nothingLeft();
});
