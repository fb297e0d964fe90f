/** The command line's files for a container: its log, and the FIFO of its input. */
import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sha256 } from '../text/sha256.js';

/** Where they are: $HAWSER_DATA, or /var/lib/hawser/cli. */
export function dataDirectory(): string {
  return process.env.HAWSER_DATA || '/var/lib/hawser/cli';
}

/** What is known of containers' networks; the client library's place unless $HAWSER_DATA is set. */
export function networkDirectory(): string | undefined {
  return process.env.HAWSER_DATA ? join(process.env.HAWSER_DATA, 'network') : undefined;
}

/** Where volumes are: nerdctl's, so that either sees the other's; below $HAWSER_DATA when that is set. */
export function dataRoot(): string | undefined {
  return process.env.HAWSER_DATA ? join(process.env.HAWSER_DATA, 'nerdctl') : undefined;
}

/** A container's directory; two daemons may have containers of the same id. */
export function containerDirectory(address: string, namespace: string, id: string): string {
  return join(dataDirectory(), sha256(address).slice(0, 8), namespace, id);
}

/** Makes it, for root alone: a log is as secret as what is logged. */
export function makeContainerDirectory(address: string, namespace: string, id: string): string {
  const directory = containerDirectory(address, namespace, id);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return directory;
}

/** Removes it, and what is empty above. */
export function removeContainerDirectory(address: string, namespace: string, id: string): void {
  const directory = containerDirectory(address, namespace, id);
  rmSync(directory, { recursive: true, force: true });
  for (const parent of [dirname(directory), dirname(dirname(directory))]) {
    try {
      rmdirSync(parent);
    } catch (error) {
      // Others have theirs there.
      if (['ENOTEMPTY', 'ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) return;
      throw error;
    }
  }
}
