/** Devices of the Container Device Interface: names, files, and what becomes of a spec. test/go/cdi.test.ts has CDI's own module beside it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { injectCdiDevices } from '../../src/client/cdi/inject.js';
import { isCdiName } from '../../src/client/cdi/names.js';
import { InvalidArgumentError } from '../../src/client/errors.js';
import type { Spec } from '../../src/client/index.js';
import { CDI_CASES, cdiFile, writeCdiFiles } from '../support/cdi-cases.js';
import { temporaryDirectory } from '../support/daemons.js';

const SPEC: Spec = {
  ociVersion: '1.1.0',
  process: { cwd: '/', user: { uid: 1000, gid: 50, additionalGids: [10] }, env: ['PATH=/bin', 'TERM=xterm'] },
  mounts: [
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm' },
    { destination: '/opt/inner', type: 'bind', source: '/x' },
  ],
  hooks: { poststop: [{ path: '/bin/first' }] },
  linux: { resources: { devices: [{ allow: false, access: 'rwm' }] } },
};

test('what is a name of such a device, and what a path', () => {
  for (const name of ['acme.com/thing=one', 'a/b=0', 'nvidia.com/gpu=all', 'acme.com/th.ing_1-a=1:2.b_c', 'dev/a=b'])
    assert.ok(isCdiName(name), name);
  for (const name of [
    '/dev/null',
    '/dev/a=b',
    'acme.com/thing',
    'acme.com/thing=',
    '=x',
    'a=b',
    '1a/b=c',
    'a/1b=c',
    'a/b=-c',
    'a/b=c d',
    'a-/b=c',
    'a/b=c\n',
    '/a/b=c',
    'a/b/c=d',
  ])
    assert.ok(!isCdiName(name), name);
});

for (const { about, files, devices, fails } of CDI_CASES)
  test(`${fails === undefined ? 'taken' : 'refused'}: ${about}`, async (t) => {
    const top = temporaryDirectory('cdi');
    t.after(() => rmSync(top, { recursive: true }));
    const before = structuredClone(SPEC);
    const made = injectCdiDevices(SPEC, devices, writeCdiFiles(top, files));
    if (fails === undefined) assert.notDeepEqual(await made, before);
    else
      await assert.rejects(made, (error: Error) => {
        assert.ok(error instanceof InvalidArgumentError);
        assert.match(error.message, fails);
        return true;
      });
    assert.deepEqual(SPEC, before, 'the spec that was given is changed');
  });

test('what becomes of a spec', async (t) => {
  const top = temporaryDirectory('cdi');
  t.after(() => rmSync(top, { recursive: true }));
  const edits = {
    env: ['TERM=other', 'NEW=1'],
    deviceNodes: [{ path: '/dev/acme', hostPath: '/dev/null', fileMode: 0o600, permissions: 'r' }],
    mounts: [{ hostPath: '/opt/acme', containerPath: '/opt' }],
    hooks: [{ hookName: 'poststop', path: '/bin/second', args: ['second'], timeout: 3 }],
    additionalGids: [44],
  };
  const spec = await injectCdiDevices(
    SPEC,
    ['acme.com/thing=one'],
    writeCdiFiles(top, { 'etc/a.json': cdiFile(edits) }),
  );
  assert.deepEqual(spec.process, {
    cwd: '/',
    user: { uid: 1000, gid: 50, additionalGids: [10, 44] },
    env: ['PATH=/bin', 'TERM=other', 'NEW=1'],
  });
  // Else it would hide what is in it.
  assert.deepEqual(
    spec.mounts?.map(({ destination }) => destination),
    ['/opt', '/dev/shm', '/opt/inner'],
  );
  assert.deepEqual(spec.hooks, {
    poststop: [{ path: '/bin/first' }, { path: '/bin/second', args: ['second'], timeout: 3 }],
  });
  assert.deepEqual(spec.linux, {
    devices: [{ path: '/dev/acme', type: 'c', major: 1, minor: 3, fileMode: 0o600, uid: 1000, gid: 50 }],
    resources: {
      devices: [
        { allow: false, access: 'rwm' },
        { allow: true, type: 'c', major: 1, minor: 3, access: 'r' },
      ],
    },
  });
});

test('what is no file is not waited for', async (t) => {
  const top = temporaryDirectory('cdi');
  t.after(() => rmSync(top, { recursive: true }));
  const [etc = '', run = ''] = writeCdiFiles(top, { 'real/acme.yaml': cdiFile({ env: ['A=1'] }) });
  mkdirSync(join(etc, 'dir.json'), { recursive: true });
  execFileSync('mkfifo', [join(etc, 'fifo.json')]);
  symlinkSync('nowhere', join(etc, 'gone.yaml'));
  writeFileSync(run, '');
  await assert.rejects(
    injectCdiDevices(SPEC, ['acme.com/thing=one'], [etc, run]),
    /fifo\.json cannot be used: it is no file; \S+gone\.yaml cannot be used: ENOENT.*; \S+run cannot be used: ENOTDIR/,
  );
  symlinkSync('../real/acme.yaml', join(etc, 'acme.yaml'));
  const { process } = await injectCdiDevices(SPEC, ['acme.com/thing=one'], [etc, run]);
  assert.ok(process?.env?.includes('A=1'));
});
