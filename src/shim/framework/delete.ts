/** The `delete` action of a shim without runc: containerd runs it when the shim is gone, or never came to be. */
import { dirname, join } from 'node:path';
import { checkIdentifier } from '../../api/identifier.js';
import { Bundle } from '../../oci/bundle.js';
import { encodeDeleteResponse } from '../program/delete-response.js';
import { quietly, removeRemains } from '../program/delete.js';
import { killInit } from './init-file.js';
import type { Remains } from './types.js';

/**
 * Kills the init, lets the author clean up, and removes the container's mounts and a socket that nobody serves any more.
 *
 * @param warn what could not be cleaned up; the daemon logs it, and it is no failure
 * @returns an encoded DeleteResponse, the true exit status in it when it is known
 */
export async function deleteAuthored(
  id: string,
  namespace: string,
  cleanup: Cleanup | undefined,
  warn: (text: string) => void,
): Promise<Uint8Array> {
  const bundle = bundleOf(id);
  const exit = quietly(() => bundle.tryExit(), warn);
  const pid = quietly(() => killInit(bundle.path), warn) ?? 0;
  await cleanUp(cleanup, { id, namespace, bundle: bundle.path, pid }, warn);
  await removeRemains(bundle, warn);
  return encodeDeleteResponse({ ...exit, pid: exit?.pid ?? pid });
}

/** What an author has for remains. */
export type Cleanup = (remains: Remains) => Promise<void> | void;

/** The author's part; when it fails the rest is cleaned up nevertheless. */
export async function cleanUp(
  cleanup: Cleanup | undefined,
  remains: Remains,
  warn: (text: string) => void,
): Promise<void> {
  try {
    await cleanup?.(remains);
  } catch (error) {
    warn(`cleanup of ${remains.id} failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** containerd runs `delete` in the bundle, or in one beside it. */
export function bundleOf(id: string): Bundle {
  checkIdentifier('id', id);
  return new Bundle(join(dirname(process.cwd()), id));
}
