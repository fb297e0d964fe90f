/** The `delete` action: cleans up after a container whose shim is gone, whatever is left of it (contract §1.10). */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Bundle, tryReadPidFile } from '../../oci/bundle.js';
import { bundleOf, isSameBundle, Runtime } from '../../runc/index.js';
import { encodeDeleteResponse } from './delete-response.js';
import type { Invocation } from './flags.js';
import { checkIdentifier } from '../../api/identifier.js';
import { removeDeadSocket } from './listen.js';
import { DEFAULT_ROOT } from '../runtime/options.js';
import { isUnknownContainer } from '../runtime/errors.js';
import { unmountRootfs } from '../rootfs/rootfs.js';

/**
 * Removes what the container left with the runtime, its mounts, and a socket that nobody serves any more.
 *
 * @param warn what could not be cleaned up; the daemon logs it, and it is no failure
 * @returns an encoded DeleteResponse, the true exit status in it when it is known
 */
export async function deleteAction(invocation: Invocation, warn: (text: string) => void): Promise<Uint8Array> {
  const { id, namespace } = invocation;
  checkIdentifier('id', id);
  const bundle = new Bundle(join(dirname(process.cwd()), id));
  const options = quietly(() => bundle.tryOptions(), warn) ?? {};
  const binary = quietly(() => bundle.tryRuntime(), warn) || 'runc';
  const root = join(typeof options.root === 'string' && options.root ? options.root : DEFAULT_ROOT, namespace);

  // The shim's last word, read before anything is killed here.
  const exit = quietly(() => bundle.tryExit(), warn);
  const pid = exit?.pid ?? tryReadPidFile(bundle.initPid) ?? 0;
  const others = quietly(() => whoseElse(join(root, id), bundle), warn);
  if (others !== undefined) {
    warn(`${id} is left alone in ${root}, where it is the container of ${others}`);
  } else if (isThere(join(root, id)) || binary !== 'runc') {
    await new Runtime({ binary, root, ...(isThere(bundle.path) ? { log: bundle.log } : {}) })
      .delete(id, { force: true })
      .catch((error: unknown) => {
        if (!isUnknownContainer(error)) warn(`failed to remove runc container: ${(error as Error).message}`);
      });
  }
  await removeRemains(bundle, warn);
  return encodeDeleteResponse({ ...exit, pid });
}

/** Whose the runtime's container of this name is, when it is not this bundle's: its create has failed for that reason. */
function whoseElse(directory: string, bundle: Bundle): string | undefined {
  const owner = bundleOf(directory);
  if (owner !== undefined) return isSameBundle(owner, bundle.path) ? undefined : owner;
  return bundle.isForeign ? 'somebody else' : undefined;
}

/** What every shim leaves that was killed, whatever its runtime: mounts, and its socket. */
export async function removeRemains(bundle: Bundle, warn: (text: string) => void): Promise<void> {
  // The daemon would detach what is in use, as its next step.
  await unmountRootfs(bundle.rootfs, { lazy: true }).catch((error: unknown) =>
    warn(`failed to unmount ${bundle.rootfs}: ${(error as Error).message}`),
  );
  // A shim that was killed leaves its socket. One that still answers serves others of the group.
  const socket = quietly(() => addressOf(bundle), warn);
  if (socket !== undefined) await removeDeadSocket(socket).catch((error: unknown) => warn((error as Error).message));
}

/** runc keeps a directory for each container it knows: without one, asking it to delete would only cost a process. */
function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** The path of the socket of the shim that serves this bundle's container; undefined when none was noted. */
export function addressOf(bundle: Bundle): string | undefined {
  const file = join(bundle.path, 'address');
  if (!isThere(file)) return undefined;
  const address = readFileSync(file, 'utf8').trim();
  return address.startsWith('unix://') ? address.slice('unix://'.length) : undefined;
}

/** Does something of which a failure is only warned. */
export function quietly<T>(work: () => T, warn: (text: string) => void): T | undefined {
  try {
    return work();
  } catch (error) {
    warn((error as Error).message);
    return undefined;
  }
}
