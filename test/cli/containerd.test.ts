/** hawser on a real containerd: with Hawser's shim, and with the one that comes with it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerdProgram, shimDir, stockDir, until } from '../support/daemons.js';
import { Lab } from './lab.js';

for (const [name, shims] of [
  ["Hawser's shim", shimDir],
  ["containerd's own shim", stockDir],
] as const) {
  const stock = shims === stockDir;
  test(`containerd with ${name}`, async (t) => {
    const lab = await Lab.open(containerdProgram, shims);
    t.after(() => lab.close());

    await t.test('run: output, input, exit statuses', async () => {
      const { stdout, stderr, exitCode } = await lab.run(['--rm'], ['sh', '-c', 'echo out; echo err >&2; exit 3']);
      assert.deepEqual([stdout, stderr, exitCode], ['out', 'err', 3]);
      assert.equal(
        (await lab.run(['--rm', '-i'], ['md5sum'], { input: 'hello' })).stdout,
        '5d41402abc4b2a76b9719d911017c592  -',
      );
      assert.equal((await lab.run(['--rm'], ['nope'])).exitCode, 127);
    });

    await t.test('run -d, ps, logs -f, exec, stop, rm', async () => {
      await lab.start('web', 'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.1; done');
      assert.match(await lab.ok(['ps', '--format', '{{.ID}} {{.Status}}']), /^web Up/);
      await until('its log', async () => (await lab.ok(['logs', 'web'])) === 'up');
      const inside = await lab.hawser(['exec', 'web', 'sh', '-c', 'echo in; exit 5']);
      assert.deepEqual([inside.stdout, inside.exitCode], ['in', 5]);
      const followed = lab.ok(['logs', '-f', 'web']);
      await lab.ok(['stop', 'web']);
      assert.equal(await followed, 'up\nbye');
      const { stdout, stderr } = await lab.hawser(['logs', '-t', '--tail', '1', 'web']);
      if (stock) assert.match(stderr, /^hawser: logs --timestamps: the log of container web is .* without times: /);
      else assert.match(stdout, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z bye$/);
      assert.equal(await lab.ok(['wait', 'web']), '0');
      await lab.ok(['rm', 'web']);
    });

    await t.test('events: none are kept, but an end may be chosen', async () => {
      const { stderr, exitCode } = await lab.hawser(['events', '--since', '10m', '--until', '0s']);
      assert.equal(exitCode, 1);
      assert.match(stderr, /^hawser: events --since: the daemon at \S+ keeps no events, as hawserd does: /);
      assert.equal(await lab.ok(['events', '--until', '0s']), '');
      const watching = lab.ok([
        'events',
        '--until',
        new Date(Date.now() + 2500).toISOString(),
        '--format',
        '{{.Topic}}',
      ]);
      await lab.run(['--rm'], ['true']);
      await watching;
    });

    await t.test('images', async () => {
      assert.equal(await lab.ok(['images', 'import', await lab.image()]), 'docker.io/library/box:latest');
      assert.equal(await lab.ok(['run', '--rm', 'box']), 'from the image');
      await lab.ok(['images', 'rm', 'box']);
    });

    await t.test('files: cp, diff, export, commit, import', async () => {
      await lab.ok(['load', '-i', await lab.image()]);
      await lab.ok(['run', '-d', '--name', 'files', 'box', 'sleep', '1000']);
      const file = join(lab.daemon.dir, 'file');
      writeFileSync(file, 'copied\n');
      await lab.ok(['cp', file, 'files:/root/']);
      assert.equal(await lab.ok(['exec', 'files', 'cat', '/root/file']), 'copied');
      assert.equal(await lab.ok(['diff', 'files']), 'C /root\nA /root/file');
      await lab.ok(['commit', 'files', 'made']);
      assert.equal(await lab.ok(['exec', 'files', 'echo', 'goes on']), 'goes on');
      await lab.ok(['stop', '-t', '0', 'files']);
      await lab.ok(['cp', file, 'files:/root/second']);
      await lab.ok(['export', '-o', `${file}.tar`, 'files']);
      await lab.ok(['import', `${file}.tar`, 'rooted']);
      await lab.ok(['rm', 'files']);
      assert.equal(await lab.ok(['run', '--rm', 'made', 'ls', '/root']), 'file');
      assert.equal(await lab.ok(['run', '--rm', 'rooted', 'ls', '/root']), 'file\nsecond');
      await lab.ok(['rmi', 'box', 'made', 'rooted']);
    });

    await t.test('volumes', async () => {
      await lab.ok(['run', '--rm', '-v', 'kept:/data', '--rootfs', lab.rootfs, 'sh', '-c', 'echo hello >/data/file']);
      assert.equal(
        await lab.ok(['run', '--rm', '-v', 'kept:/d:ro', '-v', '/anon', '--rootfs', lab.rootfs, 'cat', '/d/file']),
        'hello',
      );
      assert.equal(await lab.ok(['volume', 'ls', '-q']), 'kept');
      await lab.ok(['volume', 'rm', 'kept']);
    });

    await t.test('run -a: the log has what is not shown', async () => {
      const script = 'echo out; echo err >&2; cat; exit 3';
      for (const [flags, out, err] of [
        [['-a', 'stdout'], 'out\ntyped', ''],
        [['-a', 'stderr'], '', 'err'],
        [[], 'some', ''],
      ] as const) {
        const named = ['-i', '-a', 'stdin', ...flags, '--name', 'some'];
        const { stdout, stderr, exitCode } = await lab.run(named, ['sh', '-c', script], { input: 'typed\n' });
        assert.deepEqual([stdout, stderr, exitCode], [out, err, 3]);
        const logs = await lab.hawser(['logs', 'some']);
        // What containerd's own shim writes is not told apart, nor in any order.
        const lines = (text: string): string[] => text.split('\n').filter(Boolean).sort();
        const isOne = flags.length === 0 && stock;
        const kept = isOne ? [['err', 'out', 'typed'], []] : [['out', 'typed'], ['err']];
        assert.deepEqual([lines(logs.stdout), lines(logs.stderr)], kept);
        await lab.ok(['rm', 'some']);
      }
    });

    await t.test('run -it, detach, attach', async () => {
      const first = lab.terminal(['run', '-it', '--name', 'shell', '--rootfs', lab.rootfs, 'sh']);
      await first.shows(/\/ # /);
      first.type('\x10\x11');
      assert.equal(await first.ends(), 0);
      const second = lab.terminal(['attach', 'shell']);
      await until('its answer', () => {
        second.type('echo a$((1+1))b\r');
        return second.screen.includes('a2b');
      });
      second.type('exit 6\r');
      assert.equal(await second.ends(), 6);
      await lab.ok(['rm', '-f', 'shell']);
    });

    await t.test('trace', async () => {
      const text = await lab.ok(['trace', '--rootfs', lab.rootfs, 'echo', 'traced']);
      assert.match(text, /^traced\n\n\w{12}: started after [\d.]+ m?s, its first output after /);
      assert.match(text, /daemon +tasks\.Create/);
      if (stock) assert.match(text, /\(its shim has told nothing of its own\)$/m);
    });

    if (stock) {
      await t.test('what this shim cannot do is said', async () => {
        await lab.start('plain', 'sleep 100');
        const { stderr, exitCode } = await lab.hawser(['debug', 'plain']);
        assert.equal(exitCode, 1);
        assert.match(
          stderr,
          /^hawser: the shim of container plain, process \d+, is not Hawser's, and has no state to show: /,
        );
        await lab.ok(['rm', '-f', 'plain']);
      });
    }
  });
}
