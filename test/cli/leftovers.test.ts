/** What commands leave behind: nothing, also when they are left, refused, killed, or two at once. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { execa } from 'execa';
import { Client } from '../../src/client/index.js';
import { scopeOf } from '../../src/client/stdio/fifos.js';
import { until } from '../support/daemons.js';
import { descriptorsOf } from '../support/machine.js';
import { Lab, PROGRAM } from './lab.js';

const FIFOS = '/run/hawser/fifo';
let lab: Lab;
before(async () => {
  lab = await Lab.open();
});
after(() => lab.close());

/** Directories of FIFOs of this lab's daemon, whose containers others do not have. */
function fifos(): string[] {
  const mine = `io-${scopeOf(lab.daemon.socket, lab.daemon.namespace)}-`;
  return existsSync(FIFOS) ? readdirSync(FIFOS).filter((name) => name.startsWith(mine)) : [];
}

/** Files and directories that the command line keeps. */
function kept(): string[] {
  const data = join(lab.daemon.dir, 'cli');
  return existsSync(data) ? readdirSync(data, { recursive: true, encoding: 'utf8' }) : [];
}

async function nothingLeft(what: string): Promise<void> {
  assert.deepEqual(fifos(), [], `${what}: FIFOs`);
  assert.deepEqual(kept(), [], `${what}: files`);
  assert.equal(await lab.ok(['ps', '-aq']), '', `${what}: containers`);
  const bundles = join(lab.daemon.state, 'io.containerd.runtime.v2.task', lab.daemon.namespace);
  await until(`${what}: the bundles to go`, () => !existsSync(bundles) || readdirSync(bundles).length === 0);
  await until(`${what}: the shims to go`, async () => (await lab.daemon.shimPids()).length === 0);
  assert.deepEqual(
    descriptorsOf(lab.daemon.pid).filter((text) => text.includes(FIFOS)),
    [],
    `${what}: descriptors of the daemon`,
  );
}

test('what has ended, was refused, or could not be started', async () => {
  await lab.run(['--rm', '-i'], ['cat'], { input: 'x' });
  await nothingLeft('run');
  const cidfile = join(lab.daemon.dir, 'cid');
  for (const flags of [
    ['--log-driver', 'syslog'],
    ['--log-opt', 'max-size=x', '-d'],
    ['--stop-signal', 'NOPE'],
    ['-u', 'nemo'],
    ['--cidfile', cidfile, '-u', 'nemo'],
    ['-d', '--log-driver', 'file', '--log-opt', 'max-file=0'],
  ]) {
    assert.equal((await lab.run(flags, ['true'])).exitCode, 125, flags.join(' '));
    await nothingLeft(flags.join(' '));
  }
  assert.ok(!existsSync(cidfile));
  assert.equal((await lab.run(['--rm', '-d'], ['nope'])).exitCode, 127);
  assert.equal((await lab.run([], ['nope'])).exitCode, 127);
  await nothingLeft('a program that is not there');
});

test('a name that is taken leaves the files of whose it is', async () => {
  await lab.start('taken', 'echo kept; sleep 1000');
  await until('its output', async () => (await lab.ok(['logs', 'taken'])) === 'kept');
  assert.equal((await lab.run(['-d', '--name', 'taken'], ['true'])).exitCode, 125);
  assert.equal(await lab.ok(['logs', 'taken']), 'kept');
  await lab.ok(['rm', '-f', 'taken']);
  await nothingLeft('rm -f');
});

test('an exec that was detached from goes with its container', async () => {
  await lab.start('host', 'sleep 1000');
  const shell = lab.terminal(['exec', '-it', 'host', 'sh']);
  await shell.shows(/\/ # /);
  shell.type('\x10\x11');
  assert.equal(await shell.ends(), 0);
  assert.equal(fifos().length, 1, 'it goes on');
  assert.equal((await lab.hawser(['exec', 'host', 'true'])).exitCode, 0);
  assert.equal(fifos().length, 1, 'another one leaves it alone');
  await lab.ok(['rm', '-f', 'host']);
  await nothingLeft('rm -f');
  await lab.start('again', 'sleep 1000');
  const other = lab.terminal(['exec', '-it', 'again', 'sh']);
  await other.shows(/\/ # /);
  other.type('\x10\x11');
  assert.equal(await other.ends(), 0);
  await lab.ok(['stop', '-t', '0', 'again']);
  await lab.ok(['start', 'again']);
  assert.deepEqual(fifos(), [], 'a new task has nothing of the old one');
  await lab.ok(['rm', '-f', 'again']);
  await nothingLeft('rm -f after start');
});

test('a client that was killed: its container goes on, and whoever comes later cleans up', async () => {
  const killed = async (name: string, args: string[]): Promise<void> => {
    const client = execa(PROGRAM, args, { env: lab.env, extendEnv: false, reject: false, stdin: 'pipe' });
    await until(`${name} to run`, () => fifos().length > 0);
    await until(`${name} to be there`, async () => (await lab.hawser(['exec', name, 'true'])).exitCode === 0);
    client.kill('SIGKILL');
    await client;
  };
  await killed('alone', ['run', '-i', '--name', 'alone', '--rootfs', lab.rootfs, 'cat']);
  await lab.ok(['ps']);
  assert.equal(fifos().length, 1, 'a container that runs keeps what it has');
  // Whoever removes it knows nothing of FIFOs.
  const other = await Client.connect({
    address: lab.daemon.socket,
    namespace: lab.daemon.namespace,
    fifoDir: join(lab.daemon.dir, 'other'),
  });
  const { tasks, containers } = other.services;
  await tasks.Kill({ containerId: 'alone', signal: 9, all: true });
  await tasks.Wait({ containerId: 'alone' });
  await tasks.Delete({ containerId: 'alone' });
  await containers.Delete({ id: 'alone' });
  other.close();
  assert.equal(fifos().length, 1);
  await lab.ok(['ps']);
  assert.deepEqual(fifos(), []);
  rmSync(join(lab.daemon.dir, 'cli'), { recursive: true });
  await killed('second', ['run', '-i', '--name', 'second', '--rootfs', lab.rootfs, 'cat']);
  await lab.ok(['rm', '-f', 'second']);
  await nothingLeft('rm -f');
});

test('two at once', async () => {
  const results = await Promise.all(
    Array.from({ length: 4 }, () => lab.run(['--rm', '-i', '--name', 'same'], ['cat'], { input: 'x' })),
  );
  assert.ok(results.every(({ exitCode }) => exitCode === 0 || exitCode === 125));
  assert.ok(results.some(({ exitCode }) => exitCode === 0));
  await nothingLeft('one name');
  await lab.start('shared', 'sleep 1000');
  const execs = await Promise.all(
    Array.from({ length: 4 }, (_, n) => lab.hawser(['exec', '-i', 'shared', 'cat'], { input: String(n) })),
  );
  assert.deepEqual(
    execs.map(({ stdout }) => stdout),
    ['0', '1', '2', '3'],
  );
  await Promise.all([
    lab.hawser(['rm', '-f', 'shared']),
    lab.hawser(['rm', '-f', 'shared']),
    lab.hawser(['exec', 'shared', 'sleep', '1000']),
  ]);
  await lab.hawser(['rm', '-f', 'shared']);
  await nothingLeft('rm -f, twice');
});
