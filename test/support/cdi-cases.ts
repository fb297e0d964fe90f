/** Files of the Container Device Interface, good and bad, for the unit tests and beside CDI's own module. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface CdiCase {
  readonly about: string;
  /** By the path below a directory of the test's; `etc` and `run` are looked into, in that order. */
  readonly files: Readonly<Record<string, unknown>>;
  readonly devices: readonly string[];
  /** What our error says; undefined when the devices can be had. */
  readonly fails?: RegExp;
  /** Why CDI's own module does something else. */
  readonly differs?: string;
}

/** A file with one device, called `one`. */
export function cdiFile(edits: object, more: object = {}): object {
  return { cdiVersion: '1.1.0', kind: 'acme.com/thing', devices: [{ name: 'one', containerEdits: edits }], ...more };
}

const ENV = { env: ['A=1'] };
const one = ['acme.com/thing=one'];

function good(about: string, file: unknown, devices = one, path = 'etc/acme.json'): CdiCase {
  return { about, files: { [path]: file }, devices };
}

function bad(about: string, file: unknown, fails: RegExp, differs?: string): CdiCase {
  return {
    about,
    files: { 'etc/acme.json': file },
    devices: one,
    fails,
    ...(differs === undefined ? {} : { differs }),
  };
}

const YAML = `# As people write them.
cdiVersion: 0.6.0
kind: "acme.com/thing"
annotations: {made: by hand}
devices:
  - name: 0
    containerEdits: &edits
      env: ["WHO=zero", EMPTY=]
      deviceNodes:
      - {path: /dev/acme0, hostPath: /dev/null, fileMode: 0640, permissions: rw, uid: 7, gid: 0x10}
      - {path: /dev/pipe, type: p, fileMode: 0o600}
  - name: yes
    containerEdits:
      <<: *edits
      env:
      - >-
        LONG=a
        b
containerEdits:
  mounts:
  - hostPath: /usr/lib/acme
    containerPath: /usr/lib/acme
    type: none
    options: [ro, nosuid, rbind]
  hooks:
  - hookName: createContainer
    path: /usr/bin/acme-hook
    args: [acme-hook, update]
    env: [X=Y]
    timeout: 5
`;

export const CDI_CASES: readonly CdiCase[] = [
  good('a setting, and one that takes the place of another', cdiFile({ env: ['A=1', 'PATH=/acme', 'TERM=x'] })),
  good(
    'YAML with numbers, anchors and folded lines',
    YAML,
    ['acme.com/thing=0', 'acme.com/thing=yes'],
    'etc/acme.yaml',
  ),
  good('a file of tabs', JSON.stringify(cdiFile(ENV), undefined, '\t')),
  good(
    "device nodes: the host's numbers, said numbers, other paths, the owner",
    cdiFile({
      deviceNodes: [
        { path: '/dev/null', fileMode: 438 },
        { path: '/dev/acme', hostPath: '/dev/zero', permissions: 'r', uid: 0 },
        { path: '/dev/said', type: 'c', major: 240, minor: 9, uid: 5, gid: 6 },
        { path: '/dev/null-too', hostPath: '/dev/null', type: 'c', major: 240, minor: 9 },
        { path: '/dev/no-device', hostPath: '/etc/passwd', type: 'b', major: 240, minor: 9 },
        { path: '/dev/zero', major: 240, minor: 3 },
        { path: '/dev/unbuffered', type: 'u', major: 240, minor: 1 },
        { path: '/dev/none', hostPath: '/dev/full', permissions: 'none' },
      ],
    }),
  ),
  good(
    'mounts: another place, in the way of one that is there, by depth',
    cdiFile({
      mounts: [
        { hostPath: '/opt/deep', containerPath: '/proc/a/b' },
        { hostPath: '/opt/acme', containerPath: '/opt', options: ['ro', 'bind'] },
        { hostPath: 'tmpfs', containerPath: '/dev/shm', type: 'tmpfs' },
      ],
    }),
  ),
  good(
    'all kinds of hooks',
    cdiFile({
      hooks: ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'].map(
        (hookName) => ({ hookName, path: `/bin/${hookName}` }),
      ),
    }),
  ),
  good(
    'resctrl, groups, network interfaces',
    cdiFile({
      intelRdt: {
        closID: 'acme',
        l3CacheSchema: 'L3:0=f',
        memBwSchema: 'MB:0=20',
        schemata: ['L2:0=1'],
        enableMonitoring: true,
      },
      additionalGids: [44, 0, 10, 44],
      netDevices: [{ hostInterfaceName: 'eth7', name: 'net0' }],
    }),
  ),
  good(
    'what a file has for all its devices, once',
    {
      ...cdiFile({ env: ['B=2'], additionalGids: [7] }, { containerEdits: { env: ['A=1'], additionalGids: [8] } }),
      devices: [
        { name: 'one', containerEdits: { env: ['ONE=1'], hooks: [{ hookName: 'poststop', path: '/one' }] } },
        { name: 'two', containerEdits: { env: ['TWO=2'], hooks: [{ hookName: 'poststop', path: '/two' }] } },
      ],
    },
    ['acme.com/thing=two', 'acme.com/thing=one'],
  ),
  {
    about: "a later directory holds, and broken files are others'",
    files: {
      'etc/acme.json': cdiFile({ env: ['FROM=etc'] }),
      'run/acme.yaml': cdiFile({ env: ['FROM=run'] }),
      'etc/broken.yaml': 'kind: [',
      'etc/sub/acme.json': cdiFile({ env: ['FROM=below'] }),
      'etc/notes.txt': 'nothing',
    },
    devices: one,
  },
  {
    about: 'one that is named twice',
    files: { 'etc/acme.json': cdiFile({ hooks: [{ hookName: 'poststop', path: '/bin/once' }] }) },
    devices: [...one, ...one],
    differs: 'it would do the edits twice',
  },
  {
    about: 'two files of one directory',
    files: { 'etc/a.json': cdiFile(ENV), 'etc/b.yaml': cdiFile(ENV), 'run/c.json': cdiFile(ENV) },
    devices: one,
    fails: /etc\/a\.json and \S+etc\/b\.yaml both describe it, in one directory/,
  },
  {
    about: 'nothing at all',
    files: {},
    devices: one,
    fails:
      /^CDI device acme\.com\/thing=one: it is described neither in a \*\.json nor in a \*\.yaml of \S+etc and \S+run, where there is none: /,
  },
  {
    about: 'another device',
    files: {
      'etc/acme.json': { ...cdiFile(ENV), kind: 'acme.com/other' },
      'run/more.json': { ...cdiFile(ENV), kind: 'acme.com/more' },
    },
    devices: one,
    fails: /where there are acme\.com\/more=one, acme\.com\/other=one: invalid argument$/,
  },
  bad('no object', '[]', /etc\/acme\.json cannot be used: it is no object/),
  bad('an empty file', '', /cannot be used: it is empty/),
  bad('half a file', '{"cdiVersion": "1.1.0", ', /acme\.json cannot be used: .* at line 1, column \d+/),
  bad('a field twice', '{"kind": "a.b/c", "kind": "a.b/c"}', /Map keys must be unique at line 1/),
  bad(
    'a version of tomorrow',
    { ...cdiFile(ENV), cdiVersion: '1.2.0' },
    /its cdiVersion "1\.2\.0" is not supported: there are 0\.1\.0, .*1\.1\.0/,
  ),
  bad('no version', { ...cdiFile(ENV), cdiVersion: undefined }, /its cdiVersion "" is not supported/),
  good('a version with a v', { ...cdiFile(ENV), cdiVersion: 'v0.3.0' }),
  bad(
    "a mount's type before 0.4",
    { ...cdiFile({ mounts: [{ hostPath: '/a', containerPath: '/a', type: 'bind' }] }), cdiVersion: '0.3.0' },
    /its cdiVersion is 0\.3\.0, and what it says is of 0\.4\.0/,
  ),
  bad(
    'a path of the host before 0.5',
    { ...cdiFile({ deviceNodes: [{ path: '/dev/a', hostPath: '/dev/null' }] }), cdiVersion: '0.4.0' },
    /is of 0\.5\.0/,
  ),
  bad('annotations before 0.6', { ...cdiFile(ENV, { annotations: { a: 'b' } }), cdiVersion: '0.5.0' }, /is of 0\.6\.0/),
  bad(
    'a class with a dot before 0.6',
    { ...cdiFile(ENV), kind: 'acme.com/th.ing', cdiVersion: '0.5.0' },
    /is of 0\.6\.0/,
  ),
  bad('groups before 0.7', { ...cdiFile({ additionalGids: [1] }), cdiVersion: '0.6.0' }, /is of 0\.7\.0/),
  bad(
    'interfaces before 1.1',
    { ...cdiFile({ netDevices: [{ hostInterfaceName: 'a', name: 'b' }] }), cdiVersion: '1.0.0' },
    /is of 1\.1\.0/,
  ),
  bad('no kind', { ...cdiFile(ENV), kind: 'acme' }, /its kind "acme" is not of the form/),
  bad('no devices', { ...cdiFile(ENV), devices: [] }, /it has no devices/),
  bad('a device without edits', cdiFile({}), /devices\[0\]\.containerEdits of device one says nothing/),
  bad(
    "a device's name",
    { ...cdiFile(ENV), devices: [{ name: '-', containerEdits: ENV }] },
    /devices\[0\]\.name "-" is no name/,
  ),
  bad(
    'two devices of a name',
    { ...cdiFile(ENV), devices: [1, 2].map(() => ({ name: 'one', containerEdits: ENV })) },
    /it has two devices one/,
  ),
  bad(
    'a field that is not there',
    cdiFile({ ...ENV, surprise: 1 }),
    /devices\[0\]\.containerEdits\.surprise is unknown: there are env, deviceNodes/,
  ),
  bad('no list', cdiFile({ env: 'A=1' }), /devices\[0\]\.containerEdits\.env is no list/),
  bad('a setting without =', cdiFile({ env: ['A'] }), /env: "A" is not of the form NAME=VALUE/),
  bad(
    'a hook of no kind',
    cdiFile({ hooks: [{ hookName: 'never', path: '/a' }] }),
    /hooks\[0\]\.hookName "never" is none of prestart/,
  ),
  bad('a hook without a path', cdiFile({ hooks: [{ hookName: 'poststop' }] }), /hooks\[0\]\.path is missing/),
  bad(
    'a hook without time',
    cdiFile({ hooks: [{ hookName: 'poststop', path: '/a', timeout: 0 }] }),
    /timeout "0" is no whole number from 1/,
    'it does not look, against its specification',
  ),
  bad('a mount of nothing', cdiFile({ mounts: [{ containerPath: '/a' }] }), /mounts\[0\]\.hostPath is missing/),
  bad("a device's type", cdiFile({ deviceNodes: [{ path: '/dev/a', type: 'x' }] }), /type "x" is none of b, c, u, p/),
  bad(
    "a device's number",
    cdiFile({ deviceNodes: [{ path: '/dev/a', major: -1 }] }),
    /major "-1" is no whole number from 0/,
  ),
  bad(
    "a device's permissions",
    cdiFile({ deviceNodes: [{ path: '/dev/null', permissions: 'rx' }] }),
    /permissions "rx" is neither/,
  ),
  bad('a group of nobody', cdiFile({ additionalGids: [-1] }), /additionalGids\[0\] "-1" is no whole number/),
  bad('a class of service', cdiFile({ intelRdt: { closID: '../a' } }), /closID "\.\.\/a" is no name of a directory/),
  bad(
    'a device that the host has not',
    cdiFile({ deviceNodes: [{ path: '/dev/acme-none' }] }),
    /^CDI device acme\.com\/thing=one: \/dev\/acme-none of this machine: ENOENT/,
  ),
  bad(
    'a device that is a file',
    cdiFile({ deviceNodes: [{ path: '/dev/a', hostPath: '/etc/passwd' }] }),
    /\/etc\/passwd of this machine is no device/,
  ),
  bad(
    'a device of another type',
    cdiFile({ deviceNodes: [{ path: '/dev/null', type: 'b' }] }),
    /\/dev\/null of this machine is of type c, and said to be of b/,
  ),
  bad(
    'an interface twice',
    cdiFile({ netDevices: ['a', 'b'].map((hostInterfaceName) => ({ hostInterfaceName, name: 'n' })) }),
    /interface b, in the container n, is given twice/,
  ),
  {
    about: "groups, as the specification's own example spells them",
    files: { 'etc/acme.json': cdiFile({ additionalGIDs: [44] }) },
    devices: one,
    differs: 'some of its versions take other capitals, and some do not',
  },
];

/** Writes a case's files. @returns the directories to look into */
export function writeCdiFiles(top: string, files: CdiCase['files']): string[] {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(top, path)), { recursive: true });
    writeFileSync(join(top, path), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return ['etc', 'run'].map((name) => join(top, name));
}
