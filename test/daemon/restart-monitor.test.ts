/** Containers that are started again by their labels, with ctr as the client. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Containerd, shimDir, top, until } from '../support/daemons.js';
import { patiently } from '../support/eventually.js';
import { isAlive } from '../support/machine.js';

const P = 'containerd.io/restart';
let hawserd: Containerd;
const limit = { timeout: patiently(60_000) };

before(async () => {
  hawserd = new Containerd(shimDir, join(top, 'bin/hawserd'));
  appendFileSync(
    join(hawserd.dir, 'config.toml'),
    '[plugins."io.containerd.internal.v1.restart"]\n  interval = "200ms"\n',
  );
  await hawserd.start();
});

after(async () => {
  for (const id of (await hawserd.ctr(['containers', 'ls', '-q'])).stdout.split('\n').filter(Boolean)) await remove(id);
  await hawserd.cleanUp();
});

async function run(id: string, labels: Record<string, string>, command: string[]): Promise<void> {
  const flags = Object.entries(labels).flatMap(([name, value]) => ['--label', `${P}.${name}=${value}`]);
  await hawserd.ctr(['run', '-d', ...flags, '--rootfs', hawserd.rootfs, id, ...command]);
}

async function state(id: string): Promise<{ pid: number; status: string }> {
  const { stdout } = await hawserd.ctr(['tasks', 'ls']);
  const [, pid = '0', status = ''] = new RegExp(`^${id}\\s+(\\d+)\\s+(\\w+)`, 'm').exec(stdout) ?? [];
  return { pid: Number(pid), status };
}

async function label(id: string, name: string): Promise<string> {
  const { stdout } = await hawserd.ctr(['containers', 'info', id]);
  return (JSON.parse(stdout) as { Labels: Record<string, string> }).Labels[`${P}.${name}`] ?? '';
}

const set = (id: string, name: string, value: string): Promise<unknown> =>
  hawserd.ctr(['containers', 'label', id, `${P}.${name}=${value}`]);

async function remove(id: string): Promise<void> {
  await set(id, 'status', '');
  // A start that is under way ends by itself, once it sees that it is not wanted.
  await until(`${id} to go`, async () => {
    await hawserd.ctr(['tasks', 'rm', '-f', id], { reject: false });
    return (await hawserd.ctr(['containers', 'rm', id], { reject: false })).exitCode === 0;
  });
}

const other = (id: string, pid: number): Promise<number> =>
  until(`${id} to run again`, async () => {
    const now = await state(id);
    return now.status === 'RUNNING' && now.pid !== pid && now.pid;
  });

test('a container that is killed runs again, with a count; one that a client has stopped does not', limit, async () => {
  await run('always', { status: 'running' }, ['/bin/sleep', '1000']);
  let { pid } = await state('always');
  for (const times of ['1', '2']) {
    process.kill(pid, 'SIGKILL');
    pid = await other('always', pid);
    assert.equal(await label('always', 'count'), times);
  }
  await set('always', 'explicitly-stopped', 'true');
  process.kill(pid, 'SIGKILL');
  await until('it to stop', async () => (await state('always')).status === 'STOPPED');
  // Somebody else is started again meanwhile: it had its turn too.
  await run('witness', { status: 'running' }, ['/bin/sleep', '1000']);
  const witness = await state('witness');
  process.kill(witness.pid, 'SIGKILL');
  await other('witness', witness.pid);
  assert.equal((await state('always')).status, 'STOPPED');
  await set('always', 'explicitly-stopped', 'false');
  await other('always', pid);
});

test('on-failure: not after success, and no more than so often', limit, async () => {
  const log = join(hawserd.dir, 'failing.log');
  await run('fine', { status: 'running', policy: 'on-failure' }, ['/bin/true']);
  await run('failing', { status: 'running', policy: 'on-failure:2', loguri: `file://${log}` }, [
    '/bin/sh',
    '-c',
    'echo again; exit 3',
  ]);
  await until(
    'two times',
    async () => (await label('failing', 'count')) === '2' && (await state('failing')).status === 'STOPPED',
  );
  await until('its log', () => existsSync(log) && readFileSync(log, 'utf8') === 'again\nagain\n');
  await run('witness2', { status: 'running', policy: 'always' }, ['/bin/true']);
  await until("another one's turns", async () => Number(await label('witness2', 'count')) >= 2);
  assert.deepEqual([await label('fine', 'count'), await label('failing', 'count')], ['', '2']);
  assert.equal(readFileSync(log, 'utf8'), 'again\nagain\n');
});

test(
  'one that is to be stopped is ended and removed; one that is to run is made, with a terminal too',
  limit,
  async () => {
    await run('stop', { status: 'running' }, ['/bin/sleep', '1000']);
    const { pid } = await state('stop');
    await set('stop', 'status', 'stopped');
    await until('its end', async () => (await state('stop')).status === '');
    assert.ok(!isAlive(pid));
    await set('stop', 'status', 'running');
    await other('stop', pid);
    await hawserd.ctr([
      'containers',
      'create',
      '-t',
      '--label',
      `${P}.status=running`,
      '--rootfs',
      hawserd.rootfs,
      'made',
      '/bin/sleep',
      '1000',
    ]);
    assert.match(readlinkSync(`/proc/${await other('made', 0)}/fd/0`), /^\/dev\/pts\//);
  },
);

test(
  'a restart of the daemon starts what it finds ended, and forgets a stop of `always`; removal during a start is no error',
  limit,
  async () => {
    await run('unless', { status: 'running', policy: 'unless-stopped', 'explicitly-stopped': 'true' }, ['/bin/true']);
    await run('forget', { status: 'running', policy: 'always', 'explicitly-stopped': 'true' }, [
      '/bin/sh',
      '-c',
      'test -e /tmp/x || sleep 1000',
    ]);
    const { pid } = await state('forget');
    await hawserd.stop();
    process.kill(pid, 'SIGKILL');
    await hawserd.start();
    await other('forget', pid);
    assert.equal(await label('forget', 'explicitly-stopped'), 'false');
    assert.equal((await state('unless')).status, 'STOPPED');
    for (let n = 0; n < 5; n++) {
      await run(`gone${n}`, { status: 'running' }, ['/bin/true']);
      await until('some restart', async () => (await label(`gone${n}`, 'count')) !== '');
      await remove(`gone${n}`);
    }
    await until(
      'no task without a container',
      async () => !(await hawserd.ctr(['tasks', 'ls'])).stdout.includes('gone'),
    );
  },
);
