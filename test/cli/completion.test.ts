/** Completion: what is offered, and that shells get it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { execa } from 'execa';
import { top } from '../support/daemons.js';
import { Lab } from './lab.js';

let lab: Lab;
before(async () => {
  lab = await Lab.open();
  await lab.start('webserver', 'sleep 1000');
  await lab.ok(['create', '--name', 'waiting', '--rootfs', lab.rootfs, 'true']);
});
after(() => lab.close());

async function offered(...words: string[]): Promise<string[]> {
  return (await lab.ok(['__complete', '--', ...words]))
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t')[0]!);
}

test('commands, flags and their values', async () => {
  assert.deepEqual(await offered('ru'), ['run', 'runtimes']);
  assert.deepEqual(await offered('images', ''), ['import', 'inspect', 'ls', 'prune', 'rm']);
  assert.deepEqual(await offered('run', '--cpu'), [
    '--cpu-period',
    '--cpu-quota',
    '--cpu-rt-period',
    '--cpu-rt-runtime',
    '--cpu-shares',
    '--cpus',
    '--cpuset-cpus',
    '--cpuset-mems',
  ]);
  assert.deepEqual(await offered('run', '--net', ''), ['host', 'none']);
  assert.deepEqual(await offered('run', '--net=h'), ['--net=host']);
  assert.deepEqual(await offered('run', '--cgroupns', ''), ['host', 'private']);
  assert.deepEqual(await offered('run', '--security-opt', 'secc'), ['seccomp=builtin', 'seccomp=unconfined']);
  assert.deepEqual(await offered('run', '--rootfs', ''), [':dirs']);
  assert.deepEqual(await offered('run', '--rootfs', '/x', 'sh', '-'), [':files'], "what follows is the container's");
  assert.deepEqual(await offered('kill', '-s', 'TER'), ['TERM']);
  assert.deepEqual(await offered('completion', ''), ['bash', 'fish', 'zsh']);
});

test('containers by what the command is for, also of a daemon that is named', async () => {
  assert.deepEqual(await offered('stop', 'w'), ['webserver']);
  assert.deepEqual(await offered('start', ''), ['waiting']);
  assert.deepEqual(await offered('logs', ''), ['waiting', 'webserver']);
  assert.deepEqual(await offered('rm', 'waiting', ''), ['webserver'], 'none twice');
  assert.deepEqual(await offered('--address', lab.daemon.socket, 'exec', ''), ['webserver']);
  assert.deepEqual(await offered('--address', '/nowhere', 'exec', ''), [], 'no daemon, no complaint');
  assert.deepEqual(await offered('--namespace', 'hawser-cont'), [lab.daemon.namespace]);
});

test('bash completes with it', async () => {
  const script = (line: string): string => `
    source <(hawser completion bash)
    COMP_WORDS=(${line}) COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    _hawser; echo "\${COMPREPLY[*]}"`;
  const complete = async (line: string): Promise<string> =>
    (
      await execa('bash', ['-c', script(line)], {
        env: { ...lab.env, PATH: `${top}/bin:${lab.env.PATH!}` },
        extendEnv: false,
      })
    ).stdout;
  assert.equal(await complete('hawser inspec'), 'inspect');
  assert.equal(await complete('hawser exec web'), 'webserver');
  assert.equal(await complete('hawser run --rootfs /et'), '/etc');
});

test('scripts for the three shells, and an error for a fourth', async () => {
  for (const [shell, pattern] of [
    ['bash', /complete -F _hawser hawser/],
    ['zsh', /compdef _hawser hawser/],
    ['fish', /complete -c hawser/],
  ] as const)
    assert.match(await lab.ok(['completion', shell]), pattern);
  const { exitCode, stderr } = await lab.hawser(['completion', 'tcsh']);
  assert.equal(exitCode, 125);
  assert.match(
    stderr,
    /^hawser: completion: there is none for "tcsh"; there are bash, zsh and fish\. See 'hawser completion --help'$/,
  );
});
