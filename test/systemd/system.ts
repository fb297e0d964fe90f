/** A Debian with systemd, docker and containerd, which is this machine: its services, containers, cgroups and journal. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, copyFileSync, writeFileSync } from 'node:fs';
import { eventually, patiently } from '../support/eventually.js';

/** Beside ours the one that comes with containerd: what it gets from the machine is what ours is to get. */
export type ShimKind = 'go' | 'hawser';
export const SHIMS = (process.env.HAWSER_TEST_SHIMS?.split(',') ?? ['go', 'hawser']) as ShimKind[];

export const IMAGE = 'box';
/** Where `make install` puts our shim. */
export const OURS = '/usr/local/lib/hawser/bin/containerd-shim-runc-v2';
const SLOW_MS = 60_000;
/** No command takes as long, even where everything is emulated. */
const HANGS_MS = patiently(30_000);

export interface Done {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

/** Runs a program to its end. */
export function run(words: readonly string[], input?: string): Done {
  const [program = '', ...args] = words;
  const { stdout, stderr, status, error } = spawnSync(program, args, {
    encoding: 'utf8',
    input: input ?? '',
    maxBuffer: 64 << 20,
    timeout: HANGS_MS,
  });
  if (error) throw new Error(`${words.join(' ')}: ${error.message}\n${stdout}${stderr}${surroundings()}`);
  return { stdout, stderr, status: status ?? 255 };
}

/** What there is to see of a machine where something hangs. */
function surroundings(): string {
  const all =
    'ps -eo pid,ppid,stat,wchan:20,time,args --forest | tail -n 60; journalctl -q -n 60 -o short-monotonic; cat /proc/loadavg';
  return spawnSync('sh', ['-c', all], { encoding: 'utf8', timeout: HANGS_MS }).stdout;
}

/** What it prints, without the last line's end. @throws AssertionError with all that it said when it fails */
export function ok(...words: string[]): string {
  const { stdout, stderr, status } = run(words);
  assert.equal(status, 0, `${words.join(' ')}: ${stdout}${stderr}`);
  return stdout.trimEnd();
}

export const docker = (...args: string[]): string => ok('docker', ...args);
/** Tests start services more often than units allow (StartLimitBurst). */
export function systemctl(...args: string[]): string {
  const [verb = '', ...units] = args;
  if (verb === 'start' || verb === 'restart') run(['systemctl', 'reset-failed', ...units]);
  return ok('systemctl', ...args);
}
/** A property of a unit. */
export const property = (unit: string, name: string): string => systemctl('show', '--value', '-p', name, unit);

/** The image that all containers here are made of: busybox and nothing else. */
export function makeImage(): void {
  if (run(['docker', 'image', 'inspect', IMAGE]).status === 0) return;
  makeRoot();
  ok('sh', '-c', `tar -C ${BOX} -c . | docker import - ${IMAGE}`);
}

/** The same as a directory. */
export const BOX = '/var/tmp/box';
export function makeRoot(): void {
  const root = BOX;
  for (const dir of ['bin', 'tmp', 'proc', 'dev', 'sys', 'etc']) mkdirSync(`${root}/${dir}`, { recursive: true });
  if (!existsSync(`${root}/bin/busybox`)) copyFileSync('/bin/busybox', `${root}/bin/busybox`);
  for (const name of ok('/bin/busybox', '--list').split('\n'))
    if (!existsSync(`${root}/bin/${name}`)) symlinkSync('busybox', `${root}/bin/${name}`);
}

/** docker's configuration: crun beside runc, and what a test wants more. */
export function configureDocker(more: object = {}): void {
  writeFileSync('/etc/docker/daemon.json', JSON.stringify({ runtimes: { crun: { path: '/usr/bin/crun' } }, ...more }));
}

/** From now on this is the shim of every new container. No container may be there. */
export async function useShim(kind: ShimKind): Promise<void> {
  systemctl('stop', 'docker.socket', 'docker', 'containerd');
  await eventually('what the last shim has left is gone', () => shimProcesses().length === 0);
  ok('hawser', 'shim', kind === 'hawser' ? 'enable' : 'disable');
  systemctl('daemon-reload');
  configureDocker();
  systemctl('start', 'containerd', 'docker.socket', 'docker');
  makeImage();
}

/** Which shim a running container has. */
export const shimOf = (id: string): ShimKind => shimOfPid(Number(docker('inspect', '-f', '{{.State.Pid}}', id)));

/** Which shim a running container has, by its init's pid. */
export function shimOfPid(pid: number): ShimKind {
  const parent = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]!;
  return ok('readlink', `/proc/${parent}/exe`) === OURS ? 'hawser' : 'go';
}

/** Shims of either kind, and whatever serves them: command lines, with their pids. */
export function shimProcesses(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
        return /containerd-shim|hawser-(worker|spare|zygote)|lib\/hawser/.test(line) ? [`${pid} ${line}`] : [];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
}

/** The processes in a unit's cgroup, and in those below. */
export function processesOf(unit: string): string[] {
  const dir = `/sys/fs/cgroup${property(unit, 'ControlGroup')}`;
  if (dir === '/sys/fs/cgroup' || !existsSync(dir)) return [];
  return ok('sh', '-c', `find ${dir} -name cgroup.procs -exec cat {} +`).split('\n').filter(Boolean);
}

/** Scopes that containers have. */
export function scopes(): string[] {
  return systemctl('list-units', '--type=scope', '--all', '--plain', '--no-legend')
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((name) => /^(docker|hawser|cri-containerd)-/.test(name));
}

/** What the journal has of a unit since a time, systemd's own lines about it too. */
export function journal(unit: string, since: string): string[] {
  return ok('journalctl', '-q', '-o', 'cat', '-u', unit, '--since', since).split('\n').filter(Boolean);
}

/** A time as {@link journal} takes it. */
export const now = (): string => ok('date', '+%Y-%m-%d %H:%M:%S.%6N');

/** Nothing of containers is left but what the daemons have for themselves. */
export async function nothingIsLeft(): Promise<void> {
  await eventually('scopes are gone', () => scopes().length === 0, SLOW_MS);
  assert.deepEqual(
    readFileSync('/proc/self/mountinfo', 'latin1')
      .split('\n')
      .filter((line) => /\/(rootfs|merged) /.test(line)),
    [],
    'mounts',
  );
  assert.equal(ok('docker', 'ps', '-aq'), '');
}

export const removeAll = (): void => void ok('sh', '-c', 'docker ps -aq | xargs -r docker rm -f >/dev/null');
