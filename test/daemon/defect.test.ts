/** A defect that nothing has caught ends hawserd, and nothing else: whoever starts it again has all containers as they were. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { execa } from 'execa';
import { Containerd, shimDir, temporaryDirectory, top, until } from '../support/daemons.js';
import { isAlive } from '../support/machine.js';

let hawserd: Containerd;
const PLUGIN = `import { existsSync } from 'node:fs';
export default {
  type: 'io.hawser.test.v1', id: 'faulty',
  init: ({ root, onClose }) => {
    const timer = setInterval(() => {
      if (existsSync(root + '/reject')) {
        clearInterval(timer);
        void Promise.reject(new Error('nobody waits for this'));
      } else if (existsSync(root + '/throw')) throw new Error('a pen has run dry');
    }, 10);
    onClose(() => clearInterval(timer));
  },
};
`;

/** A plugin's own directory, in which the test puts what it is to do wrong. */
const order = (name: string): string => join(hawserd.root, 'io.hawser.test.v1.faulty', name);

before(async () => {
  hawserd = new Containerd(shimDir, join(top, 'bin/hawserd'));
  const module = join(hawserd.dir, 'faulty.mjs');
  writeFileSync(module, PLUGIN);
  const config = join(hawserd.dir, 'config.toml');
  writeFileSync(config, `external_plugins = ["${module}"]\n${readFileSync(config, 'utf8')}`);
  await hawserd.start();
});
after(() => hawserd.cleanUp());

test('an exception outside of any call: it is told in full, the exit status is 1, and containers are there after a restart', async () => {
  await hawserd.ctr([
    'run',
    '-d',
    '--rootfs',
    hawserd.rootfs,
    'survivor',
    '/bin/sh',
    '-c',
    'while [ ! -e /tmp/end ]; do sleep 0.05; done; exit 7',
  ]);
  const pid = /^survivor +(\d+) +RUNNING/m.exec((await hawserd.ctr(['tasks', 'ls'])).stdout)![1]!;
  const died = hawserd.ended();
  writeFileSync(order('throw'), '');
  assert.equal(await died, 1);
  const line = hawserd
    .logText()
    .split('\n')
    .find((one) => one.includes('"level":"fatal"'));
  const { msg, err } = JSON.parse(line ?? '{}') as { msg: string; err: { message: string; stack: string } };
  assert.match(msg, /unknown state/);
  assert.equal(err.message, 'a pen has run dry');
  assert.match(err.stack, /faulty\.mjs:\d/);
  assert.ok(isAlive(Number(pid)));

  // It ends while there is no daemon.
  writeFileSync(join(hawserd.rootfs, 'tmp/end'), '');
  await until('it to end', () => !isAlive(Number(pid)));
  await execa('rm', [order('throw')]);
  await hawserd.start();
  assert.match((await hawserd.ctr(['tasks', 'ls'])).stdout, new RegExp(`^survivor +${pid} +STOPPED`, 'm'));
  assert.match((await hawserd.ctr(['tasks', 'rm', 'survivor'])).stderr, /exit code 7/);
  await hawserd.ctr(['containers', 'rm', 'survivor']);
});

test('a failure that nobody waits for leaves one piece of work undone, and is no reason to end', async () => {
  writeFileSync(order('reject'), '');
  await until('it to be told', () => /"level":"error".*nobody waits for this/.test(hawserd.logText()));
  assert.equal((await hawserd.run('after', ['/bin/echo', 'well'])).stdout, 'well');
  await execa('rm', [order('reject')]);
});

test('on a terminal the last line is there, too', async () => {
  const dir = temporaryDirectory('defect');
  const config = join(dir, 'config.toml');
  writeFileSync(
    config,
    `external_plugins = ["${join(hawserd.dir, 'faulty.mjs')}"]\nroot = "${dir}/root"\nstate = "${dir}/state"\n[grpc]\naddress = "${dir}/sock"\n`,
  );
  const running = execa('script', ['-qec', `${join(top, 'bin/hawserd')} -c ${config}`, '/dev/null'], {
    reject: false,
    stdin: 'ignore',
    timeout: 30_000,
  });
  await until('it to serve', () => existsSync(join(dir, 'root/io.hawser.test.v1.faulty')));
  writeFileSync(join(dir, 'root/io.hawser.test.v1.faulty/throw'), '');
  const { exitCode, stdout } = await running;
  assert.equal(exitCode, 1);
  assert.match(stdout, /FATAL.*unknown state.*a pen has run dry/s);
  await execa('rm', ['-r', dir]);
});
