/**
 * Each way to install, on clean roots of two Debian releases, as `scenario.sh` has it: installed, used under the release's containerd, upgraded and
 * removed with containers running, and removed without a trace. By `make test-install`, which builds what is installed; ONLY=deb/trixie chooses.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { arch } from 'node:process';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { execa } from 'execa';
import { machineOf } from '../../src/build/release/machines.js';
import { temporaryDirectory, top } from '../support/daemons.js';
import { removeCgroups } from '../support/machine.js';

const SUITES = ['bookworm', 'trixie'];
const release = join(top, 'dist/release');
const { debian } = machineOf(arch);
const work = temporaryDirectory('installed');

after(() => rmSync(work, { recursive: true, force: true }));

function released(pattern: RegExp): string {
  const found = readdirSync(release).filter((file) => pattern.test(file));
  assert.equal(
    found.length,
    1,
    `${pattern} in ${release}: ${found.join(', ') || 'none'}; build it by 'make dist deb packages'`,
  );
  return join(release, found[0]!);
}

/** Two versions, as directories: the first has a file that the second has not. */
function archives(to: string): void {
  const archive = released(new RegExp(`^hawser-.*-linux-${debian}\\.tar\\.gz$`));
  for (const version of ['first', 'second']) {
    mkdirSync(join(to, version));
    execFileSync('tar', ['-C', join(to, version), '--strip-components=1', '-xzf', archive]);
  }
  appendFileSync(join(to, 'first/lib/hawser/of-the-first'), '');
  appendFileSync(join(to, 'first/lib/hawser/files'), 'lib/hawser/of-the-first\n');
  appendFileSync(join(to, 'second/lib/hawser/shim.cjs'), '// second version\n');
}

/** The package, and one that differs in its version. */
function debs(to: string): void {
  const deb = released(new RegExp(`^hawser_.*_${debian}\\.deb$`));
  copyFileSync(deb, join(to, 'first.deb'));
  const node = released(new RegExp(`^hawser-node_.*_${debian}\\.deb$`));
  copyFileSync(node, join(to, node.slice(release.length + 1)));
  const tree = join(to, 'tree');
  execFileSync('dpkg-deb', ['-R', deb, tree]);
  execFileSync('sed', ['-i', 's/^Version: .*/&.1/', join(tree, 'DEBIAN/control')]);
  appendFileSync(join(tree, 'usr/lib/hawser/shim.cjs'), '// second version\n');
  execFileSync('dpkg-deb', ['-Zxz', '-z1', '-b', tree, join(to, 'second.deb')], { stdio: 'ignore' });
  rmSync(tree, { recursive: true });
}

const WAYS: Record<string, (to: string) => void> = { archive: archives, deb: debs };
const only = process.env.ONLY?.split('/');

for (const [way, prepare] of Object.entries(WAYS)) {
  for (const suite of SUITES) {
    if (only !== undefined && !only.every((word) => word === way || word === suite)) continue;
    test(`${way} on ${suite}`, { timeout: 600_000 }, async () => {
      const root = execFileSync('sh', [join(top, 'test/install/roots.sh'), suite], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      }).trim();
      const artefacts = join(work, way);
      if (mkdirSync(artefacts, { recursive: true }) !== undefined) prepare(artefacts);
      // Cgroups are the machine's, whatever root a process has.
      const namespace = `installed-${process.pid}-${way}-${suite}`;
      try {
        const { all, exitCode } = await execa(
          'sh',
          [join(top, 'test/install/enter.sh'), root, artefacts, 'scenario.sh', way, namespace],
          { all: true, reject: false, stdin: 'ignore' },
        );
        assert.equal(exitCode, 0, all);
        assert.match(all ?? '', /== nothing is left$/);
      } finally {
        removeCgroups(namespace);
      }
    });
  }
}
