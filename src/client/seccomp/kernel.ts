/** Whether this machine's kernel can filter system calls. */
import { readFileSync } from 'node:fs';

/** As runc finds it out: a kernel without seccomp says nothing of it. */
export function kernelHasSeccomp(status = readFileSync('/proc/self/status', 'latin1')): boolean {
  return /^Seccomp:/m.test(status);
}
