/** `hawserd oci-hook` beside `containerd oci-hook`, and as a hook of a real container. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { execa } from 'execa';
import { makeRootfs, temporaryDirectory, top } from '../support/daemons.js';
import { eventually } from '../support/eventually.js';
import { builtContainerd, NEWEST_CONTAINERD } from '../support/go-programs.js';
import { runtimeProgram } from '../support/runtime.js';
import { makeSpec } from '../support/spec.js';

const directory = temporaryDirectory('oci-hook');
after(() => rmSync(directory, { recursive: true, force: true }));
const hawserd = join(top, 'bin/hawserd');
const bundle = join(directory, 'bundle');
mkdirSync(bundle);
writeFileSync(join(bundle, 'config.json'), JSON.stringify({ root: { path: 'rootfs' } }));
const state = JSON.stringify({
  ociVersion: '1.0.2',
  id: 'c1',
  status: 'created',
  pid: 42,
  bundle,
  annotations: { k: 'v w' },
});

interface Outcome {
  stdout: string;
  exitCode: number | undefined;
  signal: string | undefined;
}

// What the C library's own signals are is handed on, whatever this test itself was started with.
const ignore32 = join(directory, 'ignore-32');
execFileSync('cc', ['-o', ignore32, join(top, 'test/support/ignore-32.c')]);

async function hook(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const { stdout, exitCode, signal } = await execa(ignore32, [program, 'oci-hook', ...args], {
    input: state,
    env: { PATH: process.env.PATH, ...env },
    extendEnv: false,
    cwd: directory,
    reject: false,
    timeout: 60_000,
  });
  return { stdout, exitCode, signal };
}

const newest = builtContainerd(NEWEST_CONTAINERD);
const stock = '/usr/bin/containerd';
const peers = [
  {
    name: `containerd ${NEWEST_CONTAINERD}`,
    program: join(newest ?? '', 'containerd'),
    skip: newest === undefined && `containerd ${NEWEST_CONTAINERD} has not been built; test/support/matrix.ts does it`,
  },
  { name: "the machine's containerd", program: stock, skip: !existsSync(stock) && `there is no ${stock}` },
];

/** All that is the same: what is rendered, and what becomes of the program. */
const CASES: readonly { args: readonly string[]; env?: Record<string, string> }[] = [
  { args: ['/bin/echo', '{{id}} {{bundle}} {{rootfs}} {{pid}} {{status}} {{annotation "k"}} [{{annotation "none"}}]'] },
  {
    args: [
      '/bin/echo',
      '{{annotation `k`}}',
      ' x {{- id -}} y ',
      '{{ "k" | annotation }}',
      '{{(id)}}{{/* c */}}',
      'a}}',
    ],
  },
  { args: ['/bin/echo', '{{printf "%s-%d" id pid}}{{if eq status "created"}}yes{{else}}no{{end}}', '{{"{{"}}'] },
  { args: ['--', '/bin/echo', '--flag', '-c', '--', 'x'] },
  {
    args: ['/bin/sh', '-c', 'echo "$0" "$1" "$X" "$NODE_OPTIONS"; ulimit -Sn', '{{id}}', '{{pid}}'],
    env: { X: '{{id}} 1', NODE_OPTIONS: "--no '{{status}}'\n2" },
  },
  // The shell that starts Node sees to it that there is a PWD.
  { args: ['/usr/bin/env'], env: { X: '1', Y: '{{id}}', NODE_PATH: '', PWD: directory } },
  { args: ['/bin/sh', '-c', 'exit 7'] },
  { args: ['/bin/sh', '-c', 'kill -9 $$'] },
  { args: ['/bin/sh', '-c', 'grep -E "^Sig(Blk|Ign)" /proc/self/status; cat; echo end'] },
  ...['echo', '/no/such', directory, '{{foo}}', '{{id', '{{annotation}}', '{{id "x"}}'].map((arg) => ({
    args: [arg],
  })),
  { args: ['/bin/echo'], env: { X: '{{foo}}' } },
];

for (const { name, program, skip } of peers) {
  test(`it does what that of ${name} does`, { skip }, async () => {
    for (const { args, env } of CASES) {
      const [ours, theirs] = await Promise.all([hook(hawserd, args, env), hook(program, args, env)]);
      const sorted = (one: Outcome): Outcome => ({ ...one, stdout: one.stdout.split('\n').sort().join('\n') });
      assert.deepEqual(sorted(ours), sorted(theirs), JSON.stringify(args));
    }
  });
}

test('what cannot be run is named', async () => {
  for (const [args, expected] of [
    [[], /^hawserd: oci-hook needs the program that it is to run\n/],
    [['--'], /^hawserd: oci-hook needs the program that it is to run\n/],
    [['--flag'], /^hawserd: unknown flag --flag of oci-hook: put -- before the program/],
    [
      ['echo'],
      /^hawserd: cannot run echo: no such file or directory; it is not looked for in PATH: give its absolute path$/,
    ],
    [['/no/such'], /^hawserd: cannot run \/no\/such: no such file or directory$/],
    [['/bin/echo', '{{foo}}'], /^hawserd: argument 1 "{{foo}}": foo is no function; there are id, /],
  ] as const) {
    const { stderr, exitCode } = await execa(hawserd, ['oci-hook', ...args], { input: state, reject: false });
    assert.match(stderr, expected);
    assert.equal(exitCode, 1);
  }
});

test('the program has what follows the state, the same pid, and gets signals itself', async () => {
  const pidFile = join(directory, 'pid');
  const told = `echo $$ >${pidFile}.new; mv ${pidFile}.new ${pidFile}`;
  const script = `cat; trap 'echo told; exit 3' TERM; ${told}; while :; do sleep 0.05; done`;
  const rest = 'rest '.repeat(50_000);
  const running = execa(hawserd, ['oci-hook', '/bin/sh', '-c', script], { reject: false });
  running.stdin.write(state.slice(0, 20));
  const reading = (): boolean => readFileSync(`/proc/${running.pid}/syscall`, 'utf8').startsWith('0 0x0 ');
  await eventually('hawserd waits for the rest of the state', reading);
  running.stdin.end(`${state.slice(20)}${rest}`);
  await eventually('the program runs', () => existsSync(pidFile));
  assert.equal(readFileSync(pidFile, 'utf8').trim(), String(running.pid));
  running.kill('SIGTERM');
  const { stdout, exitCode } = await running;
  assert.deepEqual([stdout === `${rest}told`, exitCode], [true, 3], stdout.slice(-100));
});

for (const kind of ['prestart', 'createRuntime', 'poststop']) {
  test(`a hook of a container: ${kind}`, async () => {
    const container = join(directory, kind);
    const id = `hook-${kind}-${process.pid}`;
    mkdirSync(container);
    makeRootfs(join(container, 'rootfs'));
    const spec = makeSpec(['sh', '-c', 'exit 5'], `/hawser-test/${id}`);
    spec.root.path = 'rootfs';
    spec.annotations = { 'org.example/note': 'a note' };
    const told = join(container, 'told');
    const words = '{{id}} {{bundle}} {{rootfs}} {{status}} {{annotation "org.example/note"}}';
    spec.hooks = {
      [kind]: [
        {
          path: hawserd,
          args: ['hawserd', 'oci-hook', '--', '/bin/sh', '-c', `echo "$@" "$VARIABLE" >${told}`, 'sh', words],
          env: ['VARIABLE={{id}}', `PATH=${process.env.PATH}`],
        },
      ],
    };
    writeFileSync(join(container, 'config.json'), JSON.stringify(spec));
    const { exitCode, stderr } = await execa(
      runtimeProgram(directory),
      ['--root', join(directory, 'runc'), 'run', '-b', container, id],
      {
        reject: false,
        timeout: 60_000,
        stdin: 'ignore',
      },
    );
    assert.equal(exitCode, 5, stderr);
    const [, status] = /^\S+ \S+ \S+ (\S+)/.exec(readFileSync(told, 'utf8'))!;
    assert.equal(
      readFileSync(told, 'utf8'),
      `${id} ${container} ${join(container, 'rootfs')} ${status} a note ${id}\n`,
    );
    assert.match(status!, kind === 'poststop' ? /^stopped$/ : /^(creating|created)$/);
  });
}
