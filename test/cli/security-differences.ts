/**
 * What the newest docker has otherwise than the one that a machine has: the profile of system calls here is the newest one. Numbers are
 * of x86-64 (asm/unistd_64.h) and i386 (asm/unistd_32.h).
 */

const EPERM = '1';
const ENOSYS = '38';

/** io_uring_setup, io_uring_enter, io_uring_register: docker allowed them up to 24. */
const IO_URING = ['425', '426', '427'];
/** Those of socket(2) that are no more, or defects' way in: see default-profile.ts. Their number alone is a family that there is not. */
const SOCKET = { native: '41', x32: '41', i386: '359' } as const;
const FAMILIES = [0, 12, 19, 20, 22, 23, 25, 34, 37, 38, 40, 46];

/**
 * Allowed by newer ones: name_to_handle_at, process_vm_readv, process_vm_writev, pkey_mprotect, pkey_alloc, pkey_free, clock_settime64, uretprobe,
 * and calls of kernels from 5.17 on.
 */
const ALLOWED = {
  native: ['303', '310', '311', '329', '330', '331', '335'],
  i386: ['341', '347', '348', '380', '381', '382', '404'],
  since: 448,
} as const;

/** True for a call of which both answers are known: docker's was less strict, or its profile older. */
export function changed(call: string, docker: string, hawser: string): boolean {
  const [abi = '', number = ''] = call.split(' ');
  const kind = abi === 'x32' ? 'native' : (abi as 'native' | 'i386');
  const isSocket =
    number === SOCKET[kind] || FAMILIES.some((family) => call === `native ${SOCKET.native}:socket(${family})`);
  if (isSocket || IO_URING.includes(number)) return hawser === EPERM;
  const isNewer = (ALLOWED[kind] as readonly string[]).includes(number) || Number(number) >= ALLOWED.since;
  return isNewer && (docker === EPERM || docker === ENOSYS);
}

/** What docker hides since 24.0.7 and 28.2. */
export const STRICTER_MASKS = / \/(proc\/interrupts|sys\/devices\/virtual\/powercap|sys\/devices\/system\/cpu\/\S+) /;
