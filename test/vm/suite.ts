/**
 * `make test-cgroup2`: the part of the suite in which cgroups matter, on a kernel that has cgroup v2 alone, in a virtual
 * machine (see run). With --where-possible, a machine that can never have one is told so, and that is no failure.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { relative } from 'node:path';
import { createInterface } from 'node:readline';
import { AGAIN, hasTimeFor, secondsLeft } from '../support/ci.js';
import { bundled, MACHINE, quote, startGuest, TOP } from './guest.js';

const BUNDLES = 'dist/vm';
/** An idle machine needs a third of it. */
const TIMEOUT_S = 1800;
/** By how much the guest is slower than the machine that emulates it, with room for other work on it. */
const PATIENCE = 8;

/** Files of which all is run. */
const whole = [
  'unit/shim-cgroup-files',
  'unit/shim-metrics-v2',
  'unit/shim-oom',
  'shim/stats',
  'shim/oom',
  'shim/migration',
  'shim/sleep',
];

/** Of these files, the tests with these names. Numbers of bugs and field problems before them don't count. */
const chosen: Record<string, readonly string[]> = {
  'unit/sys-mount': ['mounts with flags and data, and unmounts', 'a read-only mount refuses writes'],
  'shim/control': [
    'signals reach the init, and with `all` every process',
    'pause freezes and resume goes on; the state shows it, of execs too',
    'a paused container that is killed ends, and can be deleted',
    'Pids has every process, and the exec each one is',
    'Pids of a container that lives is never empty, created, running or paused',
    'Update changes the limits in the cgroup, and says what runc says about nonsense',
    "`all` works in a pid namespace of its own and in the host's",
  ],
  'shim/lifecycle': [
    'a container is created, started, ends with its exit code, is deleted, and leaves nothing',
    'each state of an init refuses what it must, in the words of the Go shim',
    'a container that was only created can be deleted: its init dies, its waiters are let go',
  ],
  'shim/exec': [
    'an exec runs with the environment, directory and user of its description',
    'an exec in a container that is not started yet works, as runc allows it',
  ],
  'shim/terminal': ['ResizePty sets the size, before Start and later, of inits and execs'],
  'shim/exits': [
    'an init that dies between Create and Start is told, and Start fails',
    'execs that the init takes with it end before it, as others see it',
    "with the host's pid namespace, what the init leaves is killed and told first",
    "orphans of a container in the host's pid namespace are collected: no zombie stays",
  ],
  'shim/crash': [
    'a shim that is killed: delete ends the container and reports its pid and 137',
    "delete after a crash ends a container in the host's pid namespace with its children",
  ],
  'shim/group': ['the containers of a shim live and die each for itself; the shim ends with the last'],
  'e2e/containerd': [
    'run --rm prints what the container prints, each stream apart, and ends with its exit code',
    'tasks: ls, ps, exec, exec -t, pause, resume, metrics, kill, rm',
    'an image is unpacked, mounted as the root file system, and unmounted afterwards',
    'containerd is killed and comes back: the container runs on, can be used, and its exit arrives',
    'nothing is left of all that: no shim, bundle, socket or mount',
  ],
};

function refuseUnknownNames(): void {
  for (const [file, names] of Object.entries(chosen)) {
    const text = readFileSync(`${TOP}/test/${file}.test.ts`, 'utf8').replaceAll("\\'", "'");
    const missing = names.find((name) =>
      [`'${name}'`, `"${name}"`, `: ${name}'`, `: ${name}"`].every((end) => !text.includes(end)),
    );
    if (missing !== undefined)
      throw new Error(`test/vm/suite.ts chooses a test that test/${file}.test.ts doesn't have: ${missing}`);
  }
}

const exactly = (name: string): string => `--test-name-pattern=(^|: )${name.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')}$`;
const testOf = (file: string): string => `${file}.test`;
const runner = ['node', '--test', '--test-reporter=spec', '--test-concurrency=2'];

const { status: impossible, stdout: why } = spawnSync(MACHINE, ['--impossible'], { encoding: 'utf8' });
if (impossible === 0) {
  console.error(`cgroup v2 is NOT TESTED: this machine cannot have a virtual machine for it: ${why.trim()}`);
  process.exit(process.argv.includes('--where-possible') ? 0 : 1);
}
refuseUnknownNames();
if (!hasTimeFor('cgroup v2', 15)) process.exit(0);
const commands = [
  [...runner, ...(await bundled(whole.map(testOf), BUNDLES))],
  [
    ...runner,
    ...Object.values(chosen).flat().map(exactly),
    ...(await bundled(Object.keys(chosen).map(testOf), BUNDLES)),
  ],
].map((words) => {
  const command = words.map(quote).join(' ');
  return AGAIN > 0
    ? `${command} || { echo UNSTEADY, once more; ${command}; } || failed=1\n`
    : `${command} || failed=1\n`;
});
const script = `[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || exit 125
modprobe loop
failed=0
${commands.join('')}exit $failed`;
console.log(`on cgroup v2, by ${relative(process.cwd(), MACHINE)}:`);
const child = startGuest([
  '--timeout',
  String(Math.round(Math.min(TIMEOUT_S, secondsLeft()))),
  '--env',
  `HAWSER_TEST_PATIENCE=${PATIENCE}`,
  '--',
  'sh',
  '-c',
  script,
]);
// Those that were not chosen would be most of what is printed.
createInterface(child.stdout).on('line', (line) => {
  if (!line.includes('# test name does not match pattern')) console.log(line);
});
const [status] = (await once(child, 'close')) as [number | null];
rmSync(`${TOP}/${BUNDLES}`, { recursive: true });
process.exitCode = status ?? 1;
