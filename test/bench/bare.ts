/** The floor: runc alone, run as the shim runs it. */
import { join } from 'node:path';
import { runCommand } from '../../src/runc/command.js';

/** Gives what it prints. @throws Error when it fails */
export type Runc = (...args: string[]) => Promise<string>;

/** @param path of the bundle, where its log goes */
export function bareRunc(root: string, path: string): Runc {
  const options = ['--root', root, '--log', join(path, 'log.json'), '--log-format', 'json'];
  return async (...args) => {
    const { status, output } = await runCommand('runc', [...options, ...args]);
    if (status !== 0) throw new Error(`runc ${args.join(' ')}: exit status ${status}: ${output}`);
    return output;
  };
}
