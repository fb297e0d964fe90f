/** Where a shim listens (contract §1.7). */
import { posix } from 'node:path';
import { sha256 } from '../../text/sha256.js';

/** Hard-coded in containerd up to 2.2; later ones say so themselves. */
export const SOCKET_DIR = '/run/containerd/s';

/** What the kernel takes (unix(7)), and just enough for the longest directory that a daemon chooses. */
const MAX_SOCKET_PATH = 107;

/**
 * The socket of the shim that serves a group of containers. The name is the Go shim's own, so that either finds what the
 * other started.
 */
export function socketPath(grpcAddress: string, namespace: string, group: string, dir = SOCKET_DIR): string {
  const name = sha256(cleanJoin(grpcAddress, namespace, group));
  const path = posix.join(dir, name);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new Error(
      `socket path ${path} is too long: ${Buffer.byteLength(path)} bytes, at most ${MAX_SOCKET_PATH} will do; use a shorter socket directory`,
    );
  }
  return path;
}

/** Go's filepath.Join: unlike Node's it leaves no slash at the end. */
function cleanJoin(...parts: string[]): string {
  const path = posix.join(...parts);
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

/** The group a container belongs to: one shim serves all of it. */
export function groupOf(annotations: Record<string, string> | undefined, id: string): string {
  return annotations?.['io.containerd.runc.v2.group'] ?? annotations?.['io.kubernetes.cri.sandbox-id'] ?? id;
}
