/** A program, run to its end for as little as it can be. */
import { closeSync } from 'node:fs';
import { bytesWaiting, makePipe, searchPath, spawn, tryRead, tryWrite } from '../../src/sys/index.js';

/**
 * By vfork and pidfd: node:child_process would add some milliseconds, to whoever is measured. Gives what it has written, which must
 * fit into a pipe.
 *
 * @param input what it reads, which must fit into a pipe, too
 * @throws Error with what it has written, if it fails
 */
export async function runToEnd(
  [name = '', ...args]: readonly string[],
  { input = new Uint8Array(), cwd, env }: { input?: Uint8Array; cwd?: string; env: Record<string, string | undefined> },
): Promise<Uint8Array> {
  const file = name.includes('/') ? name : (searchPath(name) ?? name);
  const [stdin, stdout] = [makePipe(), makePipe()];
  const open = new Set([stdin.read, stdin.write, stdout.read, stdout.write]);
  const close = (fd: number): void => {
    if (open.delete(fd)) closeSync(fd);
  };
  try {
    if (input.length > 0) tryWrite(stdin.write, input);
    close(stdin.write);
    const child = spawn(file, [name, ...args], {
      stdio: [stdin.read, stdout.write, stdout.write],
      ...(cwd === undefined ? {} : { cwd }),
      dieWithParent: false,
      env,
    });
    const status = await child.exited;
    const buffer = Buffer.alloc(65536);
    // Who has ended has written all; the pipe stays open here, so it is never read beyond that.
    const length = bytesWaiting(stdout.read) > 0 ? (tryRead(stdout.read, buffer) ?? 0) : 0;
    const output = buffer.subarray(0, length);
    if (status === 0) return output;
    throw new Error(`${name} ${args.at(-1)}: exit status ${status}: ${output.toString('utf8').trim()}`);
  } finally {
    for (const fd of open) closeSync(fd);
  }
}
