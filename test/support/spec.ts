/** What the tests run: a rootfs with busybox in it, and OCI descriptions of containers and processes. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BUSYBOX = '/bin/busybox';
const CAPABILITIES = [
  'CAP_KILL',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_SETUID',
  'CAP_SETGID',
  'CAP_SYS_ADMIN',
  'CAP_MKNOD',
];

/** The parts of an OCI spec that tests change. */
export interface TestSpec {
  ociVersion: string;
  process: TestProcess;
  root: { path: string; readonly: boolean };
  hostname?: string;
  annotations?: Record<string, string>;
  mounts: { destination: string; type: string; source: string; options?: string[] }[];
  hooks?: Record<string, { path: string; args?: string[]; env?: string[]; timeout?: number }[]>;
  linux: {
    cgroupsPath: string;
    namespaces: { type: string; path?: string }[];
    resources: Record<string, unknown>;
    [key: string]: unknown;
  };
}

export interface TestProcess {
  terminal?: boolean;
  user: { uid: number; gid: number };
  args: string[];
  env: string[];
  cwd: string;
  capabilities: Record<string, string[]>;
}

/** A directory for all test files of all runs, made once. It is only ever read. */
export function sharedRootfs(): string {
  const path = join(tmpdir(), `hawser-test-rootfs-${process.getuid?.()}`);
  if (!existsSync(path)) makeRootfs(path);
  return path;
}

/** A busybox rootfs of one's own. */
export function makeRootfs(path: string): void {
  if (!existsSync(BUSYBOX))
    throw new Error(`${BUSYBOX} is missing; run 'make setup' or 'apt-get install busybox-static'`);
  const building = mkdtempSync(`${path}-`);
  for (const dir of ['bin', 'dev', 'etc', 'proc', 'root', 'sys', 'tmp', 'var', 'run']) mkdirSync(join(building, dir));
  copyFileSync(BUSYBOX, join(building, 'bin/busybox'));
  for (const applet of execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).split('\n')) {
    if (applet && applet !== 'busybox') symlinkSync('busybox', join(building, 'bin', applet));
  }
  writeFileSync(join(building, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(building, 'etc/group'), 'root:x:0:\n');
  execFileSync('chmod', ['0755', building]);
  try {
    renameSync(building, path);
  } catch (error) {
    // Another test process was faster.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY' && (error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw error;
    rmSync(building, { recursive: true });
  }
}

export function makeProcess(args: readonly string[]): TestProcess {
  return {
    user: { uid: 0, gid: 0 },
    args: [...args],
    env: ['PATH=/bin:/sbin', 'TERM=xterm'],
    cwd: '/',
    capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
  };
}

/** A shell command line as arguments. */
export function sh(script: string): string[] {
  return ['/bin/sh', '-c', script];
}

export function makeSpec(args: readonly string[], cgroupsPath: string): TestSpec {
  return {
    ociVersion: '1.0.2',
    process: makeProcess(args),
    root: { path: sharedRootfs(), readonly: true },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['mode=1777'] },
    ],
    linux: {
      cgroupsPath,
      namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }],
      resources: { devices: [{ allow: true, access: 'rwm' }] },
    },
  };
}

/** The container's processes are in the host's pid namespace. */
export function hostPid(spec: TestSpec): void {
  spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== 'pid');
}
