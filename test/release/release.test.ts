/** What `make dist`, `make deb` and `make packages` have made for this machine, as far as it can be tried in seconds; test/install does the rest. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { arch } from 'node:process';
import { join } from 'node:path';
import { test } from 'node:test';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { execa } from 'execa';
import { machineOf } from '../../src/build/release/machines.js';
import { top } from '../support/daemons.js';

const release = join(top, 'dist/release');
const { debian } = machineOf(arch);
const { version } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { version: string };
const archive = `hawser-${version}-linux-${debian}.tar.gz`;
const deb = join(release, `hawser_${version}-1_${debian}.deb`);

test(
  'the archive needs nothing but glibc, and leaves nothing when it is uninstalled',
  { timeout: 120_000 },
  async () => {
    const { all = '', exitCode } = await execa('sh', [join(top, 'test/release/bare.sh'), join(release, archive)], {
      all: true,
      reject: false,
      stdin: 'ignore',
    });
    assert.equal(exitCode, 0, all);
    for (const said of [
      `hawser ${version}`,
      /Node version: v24\./,
      'ExecStart=/opt/hawser/bin/hawserd',
      'libstdc++.so.6',
      '/other/bin/hawser is a directory',
      '--prefix takes an absolute path, and not a b',
      'nothing is left',
    ])
      assert.ok(typeof said === 'string' ? all.includes(said) : said.test(all), `${said} is not in:\n${all}`);
  },
);

test('checksums and bill of materials go along', async () => {
  const sums = readFileSync(join(release, 'SHA256SUMS'), 'utf8').trim().split('\n');
  const names = sums.map((line) => {
    const [sum, name = ''] = line.split('  ');
    assert.equal(
      createHash('sha256')
        .update(readFileSync(join(release, name)))
        .digest('hex'),
      sum,
      name,
    );
    return name;
  });
  const bill = archive.replace('.tar.gz', '.cdx.json');
  assert.ok(names.includes(archive) && names.includes(bill), names.join(' '));
  const text = readFileSync(join(release, bill), 'utf8');
  assert.equal(await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(text), null);
  const { components } = JSON.parse(text) as { components: { name: string; licenses?: unknown[] }[] };
  for (const name of [`node-linux-${arch}`, `@lmdb/lmdb-linux-${arch}`, 'libstdc++', '@grpc/grpc-js'])
    assert.ok(components.find((one) => one.name === name)?.licenses?.length, name);
});

test('the Debian package: what it depends on, and programs last', () => {
  const field = (name: string): string => execFileSync('dpkg-deb', ['-f', deb, name], { encoding: 'utf8' }).trim();
  assert.match(field('Depends'), /^libc6 \(>= 2\.\d+\), .*nodejs \(>= 20\) \| hawser-node$/);
  assert.equal(field('Architecture'), debian);
  const files = execFileSync('dpkg-deb', ['-c', deb], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.replace(/^.* \.\//, ''));
  assert.deepEqual(files.slice(-3), [
    'usr/bin/hawser',
    'usr/bin/hawserd',
    'usr/lib/hawser/bin/containerd-shim-runc-v2',
  ]);
  for (const file of [
    'usr/share/man/man1/hawser.1.gz',
    'usr/share/man/man8/hawserd.8.gz',
    'usr/lib/systemd/system/hawserd.service',
    'usr/share/zsh/vendor-completions/_hawser',
  ])
    assert.ok(files.includes(file), file);
});

const noLintian =
  spawnSync('lintian', ['--version']).status !== 0 && 'there is no lintian; `make test-install` installs it';

test('lintian has no errors for the Debian packages', { skip: noLintian, timeout: 300_000 }, async () => {
  const debs = readdirSync(release).filter((file) => file.endsWith(`_${debian}.deb`));
  assert.ok(debs.length > 0);
  const { stdout, exitCode } = await execa('lintian', ['--allow-root', '--fail-on', 'error', ...debs], {
    cwd: release,
    reject: false,
  });
  assert.equal(exitCode, 0, stdout);
});

test('the packages for npm: no scripts, and one with what is native for each platform', () => {
  const manifestOf = (file: string): Record<string, unknown> =>
    JSON.parse(
      execFileSync('tar', ['-xzOf', join(release, file), 'package/package.json'], { encoding: 'utf8' }),
    ) as Record<string, unknown>;
  const main = manifestOf(`hawser-${version}.tgz`);
  const platform = manifestOf(`hawser-linux-${arch}-${version}.tgz`);
  assert.deepEqual(main.optionalDependencies, { '@hawser/linux-x64': version, '@hawser/linux-arm64': version });
  assert.deepEqual([main.scripts, platform.scripts, main.cpu], [undefined, undefined, undefined]);
  assert.deepEqual([platform.os, platform.cpu, platform.libc], [['linux'], [arch], ['glibc']]);
});
