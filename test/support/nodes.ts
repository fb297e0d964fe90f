/**
 * Runs test files with other Nodes than this machine's: `nodes.ts FILES…`. The tests run on them, and so does the shim, which is laid
 * out in a directory of its own, with the code that this Node has compiled. One that can't be had is left out, with a sentence;
 * NODES=22 chooses.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { hasTimeFor } from './ci.js';
import { top } from './daemons.js';
import { BUILT, Installation } from './installation.js';
import { otherNodes } from './other-nodes.js';

/** How the suite ended. */
function run(node: string, files: readonly string[]): number {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-node-'));
  try {
    const { binary, library } = new Installation(dir).install(BUILT).useNode(node);
    const { PATH = '', ...rest } = process.env;
    const env = { ...rest, PATH: `${dirname(node)}${delimiter}${PATH}`, HAWSER_TEST_SHIM_DIR: dirname(binary) };
    const options = { cwd: top, env, stdio: 'inherit' } as const;
    execFileSync(node, ['--import', 'tsx', 'src/build/code-cache.ts', library], options);
    return spawnSync(node, ['--import', 'tsx', 'test/support/suite.ts', ...files], options).status ?? 1;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const chosen = process.env.NODES?.split(' ').filter(Boolean);
for (const { version, program } of otherNodes(console.log, chosen?.length ? chosen : undefined)) {
  if (!hasTimeFor(`Node ${version}`, 10)) continue;
  console.log(`\nwith Node ${version}:\n`);
  if (run(program, process.argv.slice(2)) !== 0) process.exitCode = 1;
}
