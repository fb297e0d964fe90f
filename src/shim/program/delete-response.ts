/** What the `delete` action prints: how the container ended. */
import { containerd } from '../../api/gen/api.js';
import { timestamp } from '../../api/timestamp.js';
import type { ExitRecord } from '../../oci/bundle.js';
import { realtimeMillis } from '../../sys/index.js';

/** 128 + SIGKILL: a container that had not ended was killed by the deletion. */
const KILLED = 137;

/** @param exit what is known of its end; the rest is made up as the Go shim does */
export function encodeDeleteResponse(exit: Partial<ExitRecord>): Uint8Array {
  return containerd.task.v2.DeleteResponse.encode({
    pid: exit.pid ?? 0,
    exitStatus: exit.status ?? KILLED,
    exitedAt: timestamp(exit.exitedAt ?? realtimeMillis()),
  }).finish();
}
