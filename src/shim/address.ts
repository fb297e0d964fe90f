/** Where a shim listens (contract §1.7). */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';

/** Hard-coded in containerd up to 2.2; later ones say so themselves. */
export const SOCKET_DIR = '/run/containerd/s';

/** The kernel takes 107 bytes; the Go shim stops at 106, and a socket should be reachable from both. */
const MAX_SOCKET_PATH = 106;

/**
 * The socket of the shim that serves a group of containers. The name is the Go shim's own, so that either finds what the
 * other started.
 */
export function socketPath(grpcAddress: string, namespace: string, group: string, dir = SOCKET_DIR): string {
  const name = createHash('sha256').update(posix.join(grpcAddress, namespace, group)).digest('hex');
  const path = posix.join(dir, name);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new Error(`socket path ${path} is too long: ${Buffer.byteLength(path)} bytes, at most ${MAX_SOCKET_PATH} will do; use a shorter socket directory`);
  }
  return path;
}

/** The group a container belongs to: one shim serves all of it. */
export function groupOf(annotations: Record<string, string> | undefined, id: string): string {
  return annotations?.['io.containerd.runc.v2.group'] ?? annotations?.['io.kubernetes.cri.sandbox-id'] ?? id;
}
