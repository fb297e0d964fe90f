/** What `hawser shim enable` writes and `disable` takes away, below a root where no daemon can be asked. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parse } from 'smol-toml';
import { apply, patchOf, type Plan } from '../../src/cli/enable/change.js';
import { disable } from '../../src/cli/enable/disable.js';
import { enable, type Wish } from '../../src/cli/enable/enable.js';
import { blocksIn, originOf, sealed, withBlock, withoutBlock } from '../../src/cli/enable/marks.js';
import { Root } from '../../src/cli/enable/root.js';
import { dropInText, flagOf, readService } from '../../src/cli/enable/service.js';
import { statusOf } from '../../src/cli/enable/status.js';

const SHIM = '/opt/hawser/lib/hawser/bin/containerd-shim-runc-v2';
const LAUNCHER = "\x7fELF hawser's library: /opt/hawser/lib/hawser\0";
const DROP_IN = 'etc/systemd/system/containerd.service.d/zz-hawser.conf';
const UNIT = '[Service]\nExecStart=/usr/bin/containerd\nKillMode=process\n';
const DOCKER_UNIT = '[Service]\nExecStart=/usr/bin/dockerd -H fd://\n';

type Files = Readonly<Record<string, string>>;

class Lab {
  readonly dir = mkdtempSync(join(tmpdir(), 'hawser-root-'));
  readonly root = new Root(this.dir);
  readonly shim = join(this.dir, SHIM);

  constructor(t: TestContext, files: Files) {
    t.after(() => rmSync(this.dir, { recursive: true }));
    this.write({ [SHIM]: LAUNCHER, ...files });
  }

  write(files: Files): void {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.dir, path)), { recursive: true });
      writeFileSync(join(this.dir, path), text);
    }
  }

  read(path: string): string {
    return readFileSync(join(this.dir, path), 'utf8');
  }

  /** Every file with its text. */
  all(dir = this.dir): Files {
    const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) =>
      lstatSync(join(dir, name)).isFile(),
    );
    return Object.fromEntries(files.sort().map((name) => [name, readFileSync(join(dir, name), 'utf8')]));
  }

  do(plan: Plan): void {
    for (const change of plan.changes) apply(this.root, change);
  }

  enable(wish: Omit<Wish, 'shim'> = {}): Plan {
    const plan = enable(this.root, { ...wish, shim: this.shim });
    this.do(plan);
    return plan;
  }

  disable(force = false): ReturnType<typeof disable> {
    const plan = disable(this.root, force);
    this.do(plan);
    return plan;
  }
}

/** A daemon that says its version, and cannot be asked anything else. */
const daemon = (version: string): string => `#!/bin/sh\n[ "$1" = --version ] && echo "daemon version ${version}"\n`;

function executable(lab: Lab, path: string, version: string): void {
  lab.write({ [path]: daemon(version) });
  spawnSync('chmod', ['755', join(lab.dir, path)]);
}

test('marks: what is ours, what was edited, and what is somebody else’s', () => {
  const file = sealed('a = 1\n');
  assert.deepEqual([file, `${file}b = 2\n`, 'a = 1\n', ''].map(originOf), ['ours', 'edited', 'foreign', 'foreign']);
  for (const text of ['x = 1\n', 'x = 1', '']) {
    const both = withBlock(withBlock(text, 'one', 'a = 1\n'), 'two', 'b = 2\n', true);
    assert.deepEqual(
      blocksIn(both).map(({ name, body, isEdited, madeFile }) => [name, body, isEdited, madeFile]),
      [
        ['one', 'a = 1\n', false, false],
        ['two', 'b = 2\n', false, true],
      ],
    );
    assert.equal(withBlock(both, 'two', 'b = 2\n', true), both);
    assert.equal(withoutBlock(withoutBlock(both, 'two'), 'one'), text);
    assert.deepEqual(
      blocksIn(both.replace('a = 1', 'a = 3')).map(({ isEdited }) => isEdited),
      [true, false],
    );
  }
});

test('units: the last assignment holds, drop-ins in their order, ours not counted', (t) => {
  const lab = new Lab(t, {
    'lib/systemd/system/x.service': `[Unit]\nExecStart=no\n[Service]\nExecStart=-/usr/bin/x --config=/a "b c" \\\n  --flag v\nEnvironment=A=1 "PATH=/one:/two"\n`,
    'lib/systemd/system/x.service.d/20-b.conf': '[Service]\nEnvironment=PATH=/lib\n',
    'etc/systemd/system/x.service.d/20-b.conf': '[Service]\nEnvironment=PATH=/etc\nEnvironmentFile=-/etc/default/x\n',
    'etc/systemd/system/x.service.d/zz-hawser.conf': '[Service]\nEnvironment=PATH=/ours\n',
    'etc/systemd/system/y.service': '',
  });
  const service = readService(lab.root, 'x.service')!;
  assert.deepEqual(service.command, ['/usr/bin/x', '--config=/a', 'b c', '--flag', 'v']);
  assert.deepEqual(
    [service.path, service.pathFile, service.killsAll, service.unit],
    ['/etc', undefined, true, '/lib/systemd/system/x.service'],
  );
  assert.equal(flagOf(service.command, 'c', 'config'), '/a');
  assert.equal(flagOf(service.command, 'flag'), 'v');
  assert.equal(readService(lab.root, 'y.service'), undefined, 'it is masked');
  lab.write({ 'etc/default/x': 'PATH=/set\n' });
  assert.equal(readService(lab.root, 'x.service')!.pathFile, '/etc/default/x');
  assert.equal(
    dropInText('/a b/100%', '/x'),
    '[Service]\nEnvironment="PATH=/a b/100%%:/x"\nExecStop="-/a b/100%%/containerd-shim-runc-v2" end-zygotes\n',
  );
});

test('a drop-in: written once, renewed for another place, and taken away without a trace', (t) => {
  const lab = new Lab(t, {
    'lib/systemd/system/containerd.service': UNIT,
    'usr/bin/containerd-shim-runc-v2': 'Go',
  });
  const before = lab.all();
  const plan = lab.enable();
  assert.equal(
    lab.read(DROP_IN).split('\n').slice(1).join('\n'),
    '[Service]\nEnvironment=PATH=/opt/hawser/lib/hawser/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n' +
      'ExecStop=-/opt/hawser/lib/hawser/bin/containerd-shim-runc-v2 end-zygotes\n',
  );
  assert.deepEqual(plan.steps, ['systemctl daemon-reload', 'systemctl restart containerd']);
  assert.deepEqual(lab.enable().changes, []);
  const [service] = statusOf(lab.root, SHIM).services;
  assert.deepEqual(service, { name: 'containerd.service', next: { shim: SHIM, isOurs: true }, running: undefined });

  const other = SHIM.replace('/opt/hawser', '/usr/local');
  lab.write({ [other]: LAUNCHER });
  lab.do(enable(lab.root, { shim: join(lab.dir, other) }));
  assert.match(lab.read(DROP_IN), /PATH=\/usr\/local\/lib\/hawser\/bin:\/usr\/local\/sbin/);
  rmSync(join(lab.dir, 'usr/local'), { recursive: true });
  assert.equal(statusOf(lab.root, SHIM).written[0]!.isMissing, true);
  lab.disable();
  assert.deepEqual(lab.all(), before);
  assert.equal(existsSync(dirname(join(lab.dir, DROP_IN))), false, 'the directory that was made for it is left');
  assert.deepEqual(lab.disable().changes, []);

  lab.enable();
  const another = join(dirname(DROP_IN), 'another.conf');
  lab.write({ [another]: '' });
  lab.disable();
  assert.equal(lab.read(another), '');
});

test('what was edited stays, unless by force; what is another’s is never written', (t) => {
  const lab = new Lab(t, { 'lib/systemd/system/containerd.service': UNIT });
  lab.enable();
  const edited = `${lab.read(DROP_IN)}Environment=X=1\n`;
  lab.write({ [DROP_IN]: edited });
  assert.throws(() => lab.enable(), /was edited since enable wrote it/);
  const plan = lab.disable();
  assert.deepEqual([plan.changes, plan.kept.map(({ path }) => path)], [[], [`/${DROP_IN}`]]);
  assert.equal(lab.read(DROP_IN), edited);
  lab.disable(true);
  assert.equal(existsSync(join(lab.dir, DROP_IN)), false);
  lab.write({ [DROP_IN]: '[Service]\n' });
  assert.throws(() => lab.enable(), /is there and not of enable's/);
  assert.deepEqual(lab.disable(true).changes, []);
});

test('an earlier installation in the PATH is told of when the drop-in goes', (t) => {
  const lab = new Lab(t, {
    'lib/systemd/system/containerd.service': UNIT,
    'usr/local/bin/containerd-shim-runc-v2': LAUNCHER,
  });
  lab.enable();
  assert.match(lab.disable().notes.join('\n'), /MIND: \/usr\/local\/bin\/containerd-shim-runc-v2 is Hawser's as well/);
});

test('which service: containerd’s for docker too, docker’s own where it runs containerd, none where another does', (t) => {
  const lab = new Lab(t, {
    'lib/systemd/system/containerd.service': UNIT,
    'lib/systemd/system/docker.service': DOCKER_UNIT,
  });
  assert.deepEqual(
    lab.enable({ daemon: 'docker' }).changes.map(({ path }) => path),
    [`/${DROP_IN}`],
  );
  lab.disable();
  rmSync(join(lab.dir, 'lib/systemd/system/containerd.service'));
  assert.throws(
    () => lab.enable({ daemon: 'containerd' }),
    /there is no containerd\.service below .*first in the PATH/,
  );
  for (const [settings, note] of [
    ['{}', /docker's restart ends its containers/],
    ['{"live-restore": true}', /go on while docker restarts/],
  ] as const) {
    lab.write({ 'etc/docker/daemon.json': settings });
    const plan = lab.enable();
    assert.deepEqual(plan.steps, ['systemctl daemon-reload', 'systemctl restart docker']);
    assert.match(plan.notes.join('\n'), note);
    lab.disable();
  }
  lab.write({ 'lib/systemd/system/docker.service': DOCKER_UNIT.replace('fd://', 'fd:// --containerd=/run/k3s/sock') });
  assert.throws(() => lab.enable({ daemon: 'docker' }), /on the containerd at \/run\/k3s\/sock/);
  rmSync(join(lab.dir, 'lib/systemd/system/docker.service'));
  assert.throws(() => lab.enable({ daemon: 'docker' }), /there is no docker\.service/);
});

test('a restart that ends containers, and a PATH that no drop-in changes, are told of', (t) => {
  const lab = new Lab(t, { 'lib/systemd/system/containerd.service': '[Service]\nExecStart=/usr/bin/containerd\n' });
  assert.match(lab.enable().notes.join('\n'), /MIND: containerd\.service has no KillMode=process/);
  lab.disable();
  lab.write({
    'lib/systemd/system/containerd.service': `${UNIT}EnvironmentFile=/etc/default/containerd\n`,
    'etc/default/containerd': 'PATH=/bin\n',
  });
  assert.throws(() => lab.enable(), /has its PATH from .*\/etc\/default\/containerd/);
});

test('a runtime in a configuration of each version, without a containerd to be asked', (t) => {
  const cases: [string, string, string | undefined, string, string[]][] = [
    ['1.7.2', 'io.containerd.grpc.v1.cri', undefined, '/etc/containerd/config.toml', ['box', 'runc']],
    ['1.7.2', 'cri', '', '/etc/containerd/config.toml', ['box', 'runc']],
    ['1.7.2', 'io.containerd.grpc.v1.cri', 'version = 2\n# mine', '/etc/containerd/config.toml', ['box', 'runc']],
    [
      '1.7.2',
      'io.containerd.grpc.v1.cri',
      'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]\n  runtime_type = "x"\n',
      '/etc/containerd/config.toml',
      ['box', 'kata'],
    ],
    ['2.1.0', 'io.containerd.cri.v1.runtime', undefined, '/etc/containerd/config.toml', ['box']],
    [
      '2.1.0',
      'io.containerd.cri.v1.runtime',
      'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n',
      '/etc/containerd/conf.d/hawser-box.toml',
      ['box'],
    ],
    [
      '2.1.0',
      'io.containerd.grpc.v1.cri',
      'version = 2\nimports = ["conf.d/*.toml"]\n',
      '/etc/containerd/conf.d/hawser-box.toml',
      ['box'],
    ],
  ];
  for (const [version, plugin, config, file, names] of cases) {
    const lab = new Lab(t, config === undefined ? {} : { 'etc/containerd/config.toml': config });
    executable(lab, 'usr/bin/containerd', version);
    const before = lab.all();
    const plan = lab.enable({ daemon: 'containerd', runtimeClass: 'box' });
    assert.deepEqual(
      plan.changes.map(({ path }) => path),
      [file],
    );
    assert.deepEqual(plan.steps, ['restart containerd, by whatever starts it']);
    const { plugins } = parse(lab.read(file)) as {
      plugins: Record<string, { containerd: { runtimes: Record<string, Record<string, string>> } }>;
    };
    const { runtimes } = plugins[plugin]!.containerd;
    assert.deepEqual(Object.keys(runtimes).sort(), names, file);
    assert.equal(runtimes.box![version.startsWith('1') ? 'runtime_type' : 'runtime_path'], SHIM);
    assert.deepEqual(lab.enable({ runtimeClass: 'box' }).changes, []);
    assert.deepEqual(
      statusOf(lab.root, SHIM).written.map(({ kind, name, shim, isMissing }) => [kind, name, shim, isMissing]),
      [['containerd', 'box', SHIM, false]],
    );
    lab.disable();
    assert.deepEqual(lab.all(), before);
  }
});

test('a runtime has the options of the default one; containerd 1 gets them by a file', (t) => {
  const runc = (version: number, plugin: string): string =>
    `version = ${version}\n[plugins."${plugin}".containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\n[plugins."${plugin}".containerd.runtimes.runc.options]\nSystemdCgroup = true\nBinaryName = ""\n`;
  const one = new Lab(t, { 'etc/containerd/config.toml': runc(2, 'io.containerd.grpc.v1.cri') });
  executable(one, 'usr/bin/containerd', '1.6.20');
  one.enable({ runtimeClass: 'box' });
  assert.match(one.read('etc/hawser/containerd-box.toml'), /^#.*\nSystemdCgroup = true\n$/);
  assert.match(one.read('etc/containerd/config.toml'), /ConfigPath = "\/etc\/hawser\/containerd-box\.toml"/);
  one.disable();
  assert.equal(existsSync(join(one.dir, 'etc/hawser/containerd-box.toml')), false);
  const two = new Lab(t, { 'etc/containerd/config.toml': runc(3, 'io.containerd.cri.v1.runtime') });
  executable(two, 'usr/bin/containerd', '2.1.0');
  two.enable({ runtimeClass: 'box' });
  assert.match(two.read('etc/containerd/config.toml'), /box\.options\]\nSystemdCgroup = true\n# end/);
});

test('runtimes that cannot be had, and why', (t) => {
  const lab = new Lab(t, {});
  const box = { runtimeClass: 'box' };
  assert.throws(() => lab.enable(box), /containerd is not below/);
  executable(lab, 'usr/bin/containerd', '1.7.2');
  for (const [config, why] of [
    ['disabled_plugins = ["cri"]', /names cri in disabled_plugins/],
    ['version = 4', /has version 4/],
    ['no toml', /is no TOML/],
    ['version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.box]', /a runtime box already/],
    ['version = 2\n[plugins]\n"io.containerd.grpc.v1.cri" = { x = 1 }', /cannot be added to/],
  ] as const) {
    lab.write({ 'etc/containerd/config.toml': config });
    assert.throws(() => lab.enable(box), why);
  }
  for (const name of ['runc', 'A', '', '-a', 'a.b'])
    assert.throws(() => lab.enable({ runtimeClass: name }), /--runtime-class/);
  assert.throws(() => lab.enable({ ...box, daemon: 'docker' }), /dockerd is not below/);
  executable(lab, 'usr/bin/dockerd', '20.10.24');
  assert.throws(() => lab.enable({ ...box, daemon: 'docker' }), /dockerd 20\.10\.24 takes no shim/);
  executable(lab, 'usr/bin/dockerd', '26.1.5');
  lab.write({ 'etc/docker/daemon.json': '{"runtimes": {"box": {"path": "/x"}}}' });
  assert.throws(() => lab.enable({ ...box, daemon: 'docker' }), /has a runtime box already/);
  lab.write({ 'etc/docker/daemon.json': '[1]' });
  assert.throws(() => lab.enable({ ...box, daemon: 'docker' }), /holds no object/);
});

test('a default that would be missing is not taken away', (t) => {
  const lab = new Lab(t, { 'etc/docker/daemon.json': '{}' });
  executable(lab, 'usr/bin/containerd', '1.7.2');
  executable(lab, 'usr/bin/dockerd', '26.1.5');
  lab.write({
    'etc/containerd/config.toml':
      'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "box"\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\n',
  });
  lab.enable({ runtimeClass: 'box' });
  assert.throws(() => lab.disable(), /default_runtime_name/);
  rmSync(join(lab.dir, 'etc/containerd'), { recursive: true });
  lab.enable({ runtimeClass: 'box', daemon: 'docker' });
  const file = lab.read('etc/docker/daemon.json');
  lab.write({ 'etc/docker/daemon.json': file.replace('{', '{ "default-runtime": "box",') });
  assert.throws(() => lab.disable(), /default-runtime/);
});

test('daemon.json keeps the text that it had', (t) => {
  for (const text of [
    undefined,
    '{}\n',
    '{}',
    '',
    '{\n\t"debug": true,\n\t"dns": ["1.1.1.1"]\n}\n',
    '{"a": 18446744073709551615,\n    "b": 1}',
    '{\n  "runtimes": {\n    "other": {\n      "path": "/x"\n    }\n  }\n}\n',
  ]) {
    const lab = new Lab(t, text === undefined ? {} : { 'etc/docker/daemon.json': text });
    executable(lab, 'usr/bin/dockerd', '26.1.5');
    const before = lab.all();
    lab.enable({ daemon: 'docker', runtimeClass: 'box' });
    const written = JSON.parse(lab.read('etc/docker/daemon.json')) as { runtimes: Record<string, unknown> };
    assert.deepEqual(written.runtimes.box, {
      runtimeType: SHIM,
      options: { ConfigPath: '/etc/hawser/docker-box.toml' },
    });
    assert.deepEqual(lab.enable({ daemon: 'docker', runtimeClass: 'box' }).changes, []);
    lab.disable();
    if (text === '') assert.equal(lab.read('etc/docker/daemon.json').trim(), '{}');
    else assert.deepEqual(lab.all(), before, JSON.stringify(text));
  }
});

test('a dry run is the patch that makes of the files what enable makes of them', (t) => {
  const lab = new Lab(t, {
    'lib/systemd/system/containerd.service': UNIT,
    'etc/containerd/config.toml': 'version = 2\n[a]\nb = 1',
    'etc/docker/daemon.json': '{"debug": true}\n',
  });
  executable(lab, 'usr/bin/containerd', '1.7.2');
  executable(lab, 'usr/bin/dockerd', '26.1.5');
  const copy = mkdtempSync(join(tmpdir(), 'hawser-copy-'));
  t.after(() => rmSync(copy, { recursive: true }));
  const both = (plan: () => Plan): void => {
    const { changes } = plan();
    assert.ok(changes.length > 0);
    for (const change of changes) {
      rmSync(copy, { recursive: true });
      cpSync(lab.dir, copy, { recursive: true });
      const { status, stdout } = spawnSync('patch', ['-d', copy, '-p0', '-E'], {
        input: patchOf(lab.root, change).replaceAll(lab.dir, '.'),
        encoding: 'utf8',
      });
      assert.equal(status, 0, stdout);
      apply(lab.root, change);
      assert.deepEqual(lab.all(copy), lab.all());
    }
  };
  both(() => enable(lab.root, { shim: lab.shim }));
  both(() => enable(lab.root, { shim: lab.shim, runtimeClass: 'box' }));
  both(() => enable(lab.root, { shim: lab.shim, runtimeClass: 'box', daemon: 'docker' }));
  both(() => disable(lab.root, false));
});

test('links stay links, and modes and owners what they were', (t) => {
  const lab = new Lab(t, { 'srv/daemon.json': '{\n  "debug": true\n}\n' });
  executable(lab, 'usr/bin/dockerd', '26.1.5');
  mkdirSync(join(lab.dir, 'etc/docker'), { recursive: true });
  symlinkSync('../../srv/daemon.json', join(lab.dir, 'etc/docker/daemon.json'));
  spawnSync('chmod', ['600', join(lab.dir, 'srv/daemon.json')]);
  lab.enable({ daemon: 'docker', runtimeClass: 'box' });
  assert.ok(lstatSync(join(lab.dir, 'etc/docker/daemon.json')).isSymbolicLink());
  assert.equal(statSync(join(lab.dir, 'srv/daemon.json')).mode & 0o777, 0o600);
  assert.match(lab.read('srv/daemon.json'), /"box"/);
});
