/** What a ctr prints of errors that come from a shim: on hawserd the same as on the containerd of its own version. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Containerd, shimDir, stockDir, top, until } from '../support/daemons.js';
import { builtContainerd, NEWEST_CONTAINERD } from '../support/go-programs.js';

const newest = builtContainerd(NEWEST_CONTAINERD);
const started: Containerd[] = [];
after(async () => {
  for (const daemon of started) await daemon.cleanUp();
});

const start = (shims: string, program?: string, ctr?: string): Promise<Containerd> => {
  const daemon = new Containerd(shims, program, ctr);
  started.push(daemon);
  return daemon.start();
};

/** Errors of a shim that are of no class, of one, and of the daemon itself. */
async function texts(daemon: Containerd): Promise<Record<string, string>> {
  const said: Record<string, string> = {};
  const ctr = async (what: string, args: string[]): Promise<void> => {
    const { stderr, exitCode } = await daemon.ctr(args, { reject: false });
    assert.equal(exitCode, 1, `${what}: ${stderr}`);
    said[what] = stderr.replace(/^time="[^"]*" /gm, '');
  };
  await ctr('a missing program is run', ['run', '--rm', '--rootfs', daemon.rootfs, 'missing', 'nosuch']);
  await daemon.ctr(['run', '-d', '--rootfs', daemon.rootfs, 'c', '/bin/sleep', '1000']);
  await ctr('a missing program is executed', ['tasks', 'exec', '--exec-id', 'e1', 'c', 'nosuch']);
  await ctr('what runs is resumed', ['tasks', 'resume', 'c']);
  await ctr('what runs is deleted', ['tasks', 'rm', 'c']);
  await ctr('an exec that is not there is killed', ['tasks', 'kill', '--exec-id', 'none', 'c']);
  await daemon.ctr(['tasks', 'kill', '-s', 'KILL', 'c']);
  await until('it to end', async () => /^c\s+\d+\s+STOPPED/m.test((await daemon.ctr(['tasks', 'ls'])).stdout));
  await ctr('what has ended is killed', ['tasks', 'kill', 'c']);
  await ctr('what has ended is paused', ['tasks', 'pause', 'c']);
  await daemon.ctr(['tasks', 'rm', 'c']);
  await ctr('what is gone is killed', ['tasks', 'kill', 'c']);
  await ctr('what is gone is deleted', ['tasks', 'rm', 'c']);
  return said;
}

for (const { name, dir, skip } of [
  { name: "the machine's", dir: undefined, skip: false },
  {
    name: NEWEST_CONTAINERD,
    dir: newest,
    skip: newest === undefined && `containerd ${NEWEST_CONTAINERD} has not been built; test/support/matrix.ts does it`,
  },
]) {
  test(`errors of shims by ctr, ${name}`, { skip }, async () => {
    const own = (program: string): string | undefined => (dir === undefined ? undefined : join(dir, program));
    const containerd = await start(dir ?? stockDir, own('containerd'), own('ctr'));
    const hawserd = await start(shimDir, join(top, 'bin/hawserd'), own('ctr'));
    assert.deepEqual(await texts(hawserd), await texts(containerd));
  });
}
