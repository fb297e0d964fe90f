/**
 * The profile that containers have unless they are given another: docker's, rule by rule (github.com/moby/profiles, state of 2026). A
 * call that no rule allows fails with EPERM.
 */
import { ALLOWED_CALLS } from './calls.js';
import type { SeccompFilter, SeccompProfile, SeccompProfileRule } from './types.js';

const [EPERM, ENOSYS] = [1, 38];

/** NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of clone(2). */
const NEW_NAMESPACES = 0x7e020000;

/** personality(2): Linux and Linux32, each with or without the old layout of the stack (UNAME26), and the question which it is. */
const PERSONALITIES = [0, 8, 0x20000, 0x20008, 0xffffffff];

/**
 * Families of socket(2). Not among them: what the kernel has no more (12, 19, 20, 22, 23, 25, 34, 37), the kernel's cryptography (38, AF_ALG,
 * for its defects), and the way to virtual machines (40, AF_VSOCK, which knows no network namespaces).
 */
const FAMILIES_BELOW = 12;
const FAMILIES = [13, 14, 15, 16, 17, 18, 21, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45];

/** What each capability allows; without it the kernel would refuse them anyhow, mostly. */
const BY_CAPABILITY: Readonly<Record<string, string>> = {
  CAP_DAC_READ_SEARCH: 'open_by_handle_at',
  CAP_SYS_ADMIN: `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
    lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog
    umount umount2 unshare`,
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_CHROOT: 'chroot',
  CAP_SYS_MODULE: 'delete_module init_module finit_module',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace',
  CAP_SYS_RAWIO: 'iopl ioperm',
  CAP_SYS_TIME: 'settimeofday stime clock_settime clock_settime64',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  CAP_SYSLOG: 'syslog',
  CAP_BPF: 'bpf',
  CAP_PERFMON: 'perf_event_open',
};

const S390 = ['s390', 's390x'];
const BY_ARCHITECTURE: readonly (readonly [arches: readonly string[], calls: string])[] = [
  [['ppc64le'], 'sync_file_range2 swapcontext'],
  [['arm', 'arm64'], 'arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls'],
  [['amd64', 'x32'], 'arch_prctl'],
  [['amd64', 'x32', 'x86'], 'modify_ldt'],
  [S390, 's390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr'],
  [['riscv64'], 'riscv_flush_icache'],
];

function allow(calls: readonly string[] | string, includes?: SeccompFilter): SeccompProfileRule {
  const names = typeof calls === 'string' ? calls.split(/\s+/) : calls;
  return { names, action: 'SCMP_ACT_ALLOW', ...(includes === undefined ? {} : { includes }) };
}

function allowWhen(call: string, value: number, op = 'SCMP_CMP_EQ', index = 0): SeccompProfileRule {
  return { ...allow([call]), args: [{ index, value, op }] };
}

/** A new process, but none in namespaces of its own: those take rights that reach what is seldom tried in the kernel. */
const WITHOUT_SYS_ADMIN: readonly SeccompProfileRule[] = [
  {
    ...allowWhen('clone', NEW_NAMESPACES, 'SCMP_CMP_MASKED_EQ'),
    excludes: { caps: ['CAP_SYS_ADMIN'], arches: S390 },
  },
  // Its arguments are in another order there.
  {
    ...allowWhen('clone', NEW_NAMESPACES, 'SCMP_CMP_MASKED_EQ', 1),
    includes: { arches: S390 },
    excludes: { caps: ['CAP_SYS_ADMIN'] },
  },
  // A filter cannot see its flags, which are behind a pointer. C libraries go back to clone when there is no such call.
  { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS, excludes: { caps: ['CAP_SYS_ADMIN'] } },
];

function arch(name: string, ...others: string[]): { architecture: string; subArchitectures: string[] } {
  return { architecture: `SCMP_ARCH_${name}`, subArchitectures: others.map((other) => `SCMP_ARCH_${other}`) };
}

export const DEFAULT_PROFILE: SeccompProfile = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: EPERM,
  archMap: [
    arch('X86_64', 'X86', 'X32'),
    arch('AARCH64', 'ARM'),
    arch('MIPS64', 'MIPS', 'MIPS64N32'),
    arch('MIPS64N32', 'MIPS', 'MIPS64'),
    arch('MIPSEL64', 'MIPSEL', 'MIPSEL64N32'),
    arch('MIPSEL64N32', 'MIPSEL', 'MIPSEL64'),
    arch('S390X', 'S390'),
    arch('RISCV64'),
    arch('LOONGARCH64'),
  ],
  syscalls: [
    allow(ALLOWED_CALLS),
    // Before 4.8 a process could get around its filter by them.
    allow('process_vm_readv process_vm_writev ptrace', { minKernel: '4.8' }),
    allowWhen('socket', FAMILIES_BELOW, 'SCMP_CMP_LT'),
    ...FAMILIES.map((family) => allowWhen('socket', family)),
    ...PERSONALITIES.map((value) => allowWhen('personality', value)),
    ...BY_ARCHITECTURE.map(([arches, calls]) => allow(calls, { arches })),
    ...Object.entries(BY_CAPABILITY).map(([cap, calls]) => allow(calls, { caps: [cap] })),
    ...WITHOUT_SYS_ADMIN,
  ],
};
