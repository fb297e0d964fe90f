/** Runs the steps of test/go/peer on a daemon of its own, and gives what they say. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { useCriu } from '../support/criu.js';
import { Containerd, makeImage } from '../support/daemons.js';
import { patiently } from '../support/eventually.js';

const IMAGE = 'docker.io/library/peer:1';
const RUN_MS = 240_000;

/** Containers with restart labels are looked at more often than every ten seconds. */
const RESTARTS = `
[plugins."io.containerd.internal.v1.restart"]
  interval = "1s"
`;

/** A daemon, which shim it runs, and a ctr that goes with it. */
export interface Setup {
  readonly daemon: string;
  /** The directory of the shim. */
  readonly shims: string;
  readonly ctr: string;
}

/** The lines of each step, by its name. */
export type Said = ReadonlyMap<string, readonly string[]>;

/** Runs all steps, or those whose names begin so. */
export async function steps(program: string, setup: Setup, names: readonly string[] = []): Promise<Said> {
  useCriu();
  const containerd = new Containerd(setup.shims, setup.daemon, setup.ctr);
  const dir = join(containerd.dir, 'peer');
  mkdirSync(dir);
  try {
    appendFileSync(join(containerd.dir, 'config.toml'), RESTARTS);
    const archive = await makeImage(containerd.dir, containerd.rootfs, IMAGE);
    await containerd.start();
    const flags = ['-address', containerd.socket, '-namespace', containerd.namespace, '-dir', dir];
    const files = ['-rootfs', containerd.rootfs, '-archive', archive, '-image', IMAGE];
    const options = { timeout: patiently(RUN_MS), killSignal: 'SIGKILL', reject: false, stdin: 'ignore' } as const;
    const { stdout, stderr, exitCode } = await execa(program, ['steps', ...flags, ...files, ...names], options);
    if (exitCode !== 0) {
      const log = containerd.logText().split('\n').slice(-20).join('\n');
      throw new Error(`${program} failed (${exitCode}):\n${stderr}\n${stdout}\n\nthe daemon said last:\n${log}`);
    }
    return new Map(
      stdout.split('\n').map((line) => {
        const { step, lines } = JSON.parse(line) as { step: string; lines: string[] | null };
        return [step, lines ?? []];
      }),
    );
  } finally {
    await containerd.cleanUp();
  }
}
