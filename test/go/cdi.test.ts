/** What becomes of a spec by CDI's own module, which dockerd, nerdctl, podman and CRI-O use, and by ours. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { suite, test } from 'node:test';
import { execa } from 'execa';
import { injectCdiDevices } from '../../src/client/cdi/inject.js';
import { isCdiName } from '../../src/client/cdi/names.js';
import type { Spec } from '../../src/client/index.js';
import { CDI_CASES, writeCdiFiles } from '../support/cdi-cases.js';
import { temporaryDirectory } from '../support/daemons.js';
import { goProgram, withoutGo } from '../support/go-programs.js';

function specOf(uid: number): Spec {
  return {
    ociVersion: '1.1.0',
    process: { cwd: '/', user: { uid, gid: uid, additionalGids: [10] }, env: ['PATH=/bin', 'TERM=xterm'] },
    root: { path: 'rootfs' },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev/shm', type: 'tmpfs', source: 'shm' },
      { destination: '/opt/inner', type: 'bind', source: '/x' },
    ],
    hooks: { poststop: [{ path: '/bin/first' }] },
    linux: {
      devices: [{ path: '/dev/null', type: 'c', major: 9, minor: 9 }],
      resources: { devices: [{ allow: false, access: 'rwm' }] },
    },
  };
}

suite("CDI's own module", { skip: withoutGo }, () => {
  test('does the same with each file', async (t) => {
    const program = goProgram('cdi');
    for (const { about, files, devices, fails, differs } of CDI_CASES) {
      await t.test(about, async () => {
        const top = temporaryDirectory('cdi');
        try {
          const directories = writeCdiFiles(top, files);
          for (const uid of [0, 1000]) {
            const spec = specOf(uid);
            const theirs = await execa(program, [directories.join(','), ...devices], {
              input: JSON.stringify(spec),
              reject: false,
            });
            const ours = await injectCdiDevices(spec, devices, directories).catch((error: Error) => error);
            assert.equal(ours instanceof Error, fails !== undefined, JSON.stringify(ours));
            const same =
              ours instanceof Error
                ? theirs.exitCode !== 0
                : theirs.exitCode === 0 &&
                  JSON.stringify(sorted(JSON.parse(theirs.stdout))) === JSON.stringify(sorted(ours));
            if (differs === undefined && !same)
              assert.deepEqual(sorted(ours), theirs.exitCode === 0 ? sorted(JSON.parse(theirs.stdout)) : theirs.stderr);
            // A difference that is none any more is none to be listed.
            assert.equal(same, differs === undefined, differs);
          }
        } finally {
          rmSync(top, { recursive: true });
        }
      });
    }
  });

  test('takes the same names', async () => {
    const program = goProgram('cdi');
    const names = [
      'acme.com/thing=one',
      'a/b=0',
      'a/b=c:d',
      'dev/a=b',
      '/dev/a=b',
      'a/b=',
      'a=b',
      '1/b=c',
      'a/1=c',
      'a/b=-',
      'a/b=c d',
      'a/b/c=d',
      'a_/b=c',
      'a/b=c=d',
    ];
    const { stdout } = await execa(program, ['names', ...names]);
    assert.deepEqual(JSON.parse(stdout), names.filter(isCdiName));
  });
});

/** With the names of each object in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
