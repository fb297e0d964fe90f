/** What kind of daemon runs us. */
import { goBuildInfo } from '../../sys/index.js';

const CONTAINERD_2 = /\tgithub\.com\/containerd\/containerd\/v2[/\t]/;

/**
 * Whether a process is a containerd 2 or has one built in. The running program is read, not the file that bears its name
 * now: an upgrade replaces that before the daemon is started anew. False when it can't be known.
 */
export function isContainerd2(pid: number): boolean {
  return CONTAINERD_2.test(goBuildInfo(`/proc/${pid}/exe`));
}
