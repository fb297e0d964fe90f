/** The devices of the Container Device Interface that this machine's files describe. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';
import { parseCdiFile } from './file.js';
import type { CdiFile, CdiFileDevice } from './types.js';

/** What a vendor's package has installed, and what was found out since the machine has started. */
export const CDI_DIRECTORIES: readonly string[] = ['/etc/cdi', '/var/run/cdi'];

/** A device, with the file that describes it. */
export interface CdiDevice extends CdiFileDevice {
  readonly path: string;
  readonly file: CdiFile;
}

/** What was found in directories. */
export interface CdiDevices {
  /** By their full names. */
  readonly devices: ReadonlyMap<string, CdiDevice>;
  /** Names that two files of one directory have: neither is right. */
  readonly conflicts: ReadonlyMap<string, readonly string[]>;
  /** Of each file and directory that cannot be used, what is wrong. */
  readonly problems: ReadonlyMap<string, string>;
}

/**
 * Reads all files `*.json` and `*.yaml` of the directories, not of those below. What a later directory says of a device holds. A file that is broken is
 * a problem only of who wants a device that nobody else has.
 */
export async function readCdiDirectories(directories: readonly string[] = CDI_DIRECTORIES): Promise<CdiDevices> {
  const devices = new Map<string, CdiDevice & { readonly priority: number }>();
  const conflicts = new Map<string, string[]>();
  const problems = new Map<string, string>();
  for (const [priority, directory] of directories.map(normalize).entries()) {
    for (const path of filesOf(directory, problems)) {
      let file: CdiFile;
      try {
        file = await parseCdiFile(textOf(path));
      } catch (error) {
        problems.set(path, (error as Error).message);
        continue;
      }
      for (const device of file.devices) {
        const name = `${file.kind}=${device.name}`;
        const other = devices.get(name);
        if (other?.priority === priority) conflicts.set(name, [...(conflicts.get(name) ?? [other.path]), path]);
        devices.set(name, { ...device, file, path, priority });
      }
    }
  }
  // As CDI's own module has it: who has said two things is not made right by a third.
  for (const name of conflicts.keys()) devices.delete(name);
  return { devices, conflicts, problems };
}

function filesOf(directory: string, problems: Map<string, string>): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory() && ['.json', '.yaml'].includes(extname(entry.name)))
      .map(({ name }) => join(directory, name))
      .sort();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') problems.set(directory, message);
    return [];
  }
}

/** Not of what would be waited for. */
function textOf(path: string): string {
  if (!statSync(path).isFile()) throw new Error('it is no file');
  return readFileSync(path, 'utf8');
}
