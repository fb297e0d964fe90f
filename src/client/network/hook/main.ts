/**
 * The hook of an OCI runtime that connects containers with their networks: `set-up DIRECTORY` as createRuntime, when the container's namespaces
 * are there and nothing of it runs, and `tear-down DIRECTORY` as poststop, when it is being deleted. The directory is of network/state.ts.
 */
import { readFileSync } from 'node:fs';
import { textOf } from '../failure.js';
import { setUp, tearDown } from '../set-up.js';

async function main([action, dir]: readonly string[]): Promise<void> {
  if (dir === undefined) throw new Error('usage: hawser-network.mjs set-up|tear-down DIRECTORY');
  if (action === 'tear-down') return tearDown(dir);
  if (action !== 'set-up') throw new Error(`there are set-up and tear-down, not ${String(action)}`);
  const { pid } = JSON.parse(readFileSync(0, 'utf8')) as { pid?: unknown };
  if (typeof pid !== 'number' || pid <= 0)
    throw new Error("standard input is no state of a container's: it has no pid");
  return setUp(dir, pid);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  // The runtime has it in its own error: one line, marked so that whoever shows it can find it.
  process.stderr.write(`hawser-network: ${textOf(error).replace(/\s*\n\s*/g, '; ')}\n`);
  process.exitCode = 1;
});
