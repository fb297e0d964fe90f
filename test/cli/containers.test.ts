/** Commands for containers that are there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { execa } from 'execa';
import { top, until } from '../support/daemons.js';
import { Lab, PROGRAM } from './lab.js';

let lab: Lab;
before(async () => {
  lab = await Lab.open();
});
after(() => lab.close());

test('ps: what runs, and with -a what does not; filters, templates, JSON', async () => {
  await lab.start('one', 'sleep 100', ['--label', 'tier=web']);
  await lab.ok(['create', '--name', 'two', '--rootfs', lab.rootfs, 'sleep', '100']);
  assert.match(
    await lab.ok(['ps']),
    /^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES\none +\S+ +"\/bin\/sh -c sleep 100" .* ago +Up .* one$/,
  );
  assert.equal(await lab.ok(['ps', '-aq']), 'two\none');
  assert.equal(
    await lab.ok(['ps', '-a', '--filter', 'status=created', '--format', '{{.ID}}:{{.State}}']),
    'two:created',
  );
  assert.equal(
    await lab.ok(['ps', '--filter', 'label=tier=web', '--format', 'table {{.ID}}\t{{.Command}}', '--no-trunc']),
    'CONTAINER ID   COMMAND\none            "/bin/sh -c sleep 100"',
  );
  assert.equal(
    (JSON.parse(await lab.ok(['ps', '--format', 'json'])) as { ID: string; Labels: string }).Labels,
    'tier=web',
  );
  await lab.removeAll();
});

test('ps has Node load what it needs to speak with a daemon, and nothing else that takes its time', async () => {
  const tells = join(lab.daemon.dir, 'tells.cjs');
  writeFileSync(
    tells,
    `process.on('exit', () => {
      const all = ['net', 'child_process', 'crypto', 'fs/promises', 'http', 'http2', 'https', 'tls'];
      console.log(all.filter((name) => process.moduleLoadList.includes('NativeModule ' + name)).join(' '));
    });`,
  );
  await lab.start('one', 'sleep 100');
  const program = join(top, 'dist/hawser.cjs');
  const { stdout } = await execa(process.execPath, ['--require', tells, program, 'ps', '-q'], {
    env: lab.env,
    extendEnv: false,
  });
  assert.equal(stdout, 'one\nnet');
  await lab.removeAll();
});

test('a container is found by the beginning of its id, when only one has it', async () => {
  const ids = await Promise.all([0, 1].map(() => lab.ok(['create', '--rootfs', lab.rootfs, 'true'])));
  assert.equal(await lab.ok(['inspect', '-f', '{{.Id}}', ids[0]!.slice(0, 12)]), ids[0]);
  await lab.ok(['create', '--name', 'ab1', '--rootfs', lab.rootfs, 'true']);
  await lab.ok(['create', '--name', 'ab2', '--rootfs', lab.rootfs, 'true']);
  const { stderr, exitCode } = await lab.hawser(['rm', 'ab']);
  assert.equal(exitCode, 1);
  assert.match(stderr, /^hawser: container ab may be ab\d or ab\d: give more of its id$/);
  await lab.removeAll();
});

test('logs: all, the last lines, and following to the end, also when it is rotated', async () => {
  await lab.start(
    'talk',
    'for i in $(seq 1 40); do echo "line $i ........................................................"; sleep 0.02; done',
    ['--log-opt', 'max-size=1k', '--log-opt', 'max-file=9'],
  );
  const followed = await lab.ok(['logs', '-f', 'talk']);
  assert.deepEqual(
    followed.split('\n').map((line) => line.split(' ')[1]),
    Array.from({ length: 40 }, (_, i) => String(i + 1)),
  );
  assert.ok(existsSync(`${await lab.ok(['inspect', '-f', '{{.LogPath}}', 'talk'])}.1`), 'it was rotated');
  assert.equal(await lab.ok(['logs', 'talk']), followed);
  assert.equal(await lab.ok(['logs', '--tail', '20', 'talk']), followed.split('\n').slice(-20).join('\n'));
  assert.equal(await lab.ok(['logs', '-n', '0', 'talk']), '');
  await lab.ok(['rm', 'talk']);
});

test('logs of an own file, and none of a container that keeps none', async () => {
  const file = join(lab.daemon.dir, 'own.log');
  await lab.ok(['run', '--name', 'own', '--log-driver', `file:${file}`, '--rootfs', lab.rootfs, 'echo', 'kept']);
  assert.equal(readFileSync(file, 'utf8'), 'kept\n');
  assert.equal(await lab.ok(['logs', 'own']), 'kept');
  await lab.start('mute', 'echo unheard; sleep 100', ['--log-driver', 'none']);
  const { stderr, exitCode } = await lab.hawser(['logs', 'mute']);
  assert.equal(exitCode, 1);
  assert.match(stderr, /^hawser: container mute has no log: /);
  await lab.removeAll();
});

test('exec: output, exit statuses, input to its end, environment, directory, user', async () => {
  await lab.start('host', 'sleep 100');
  const exec = (flags: string[], command: string[], options = {}): ReturnType<Lab['hawser']> =>
    lab.hawser(['exec', ...flags, 'host', ...command], options);
  const both = await exec([], ['sh', '-c', 'echo out; echo err >&2; exit 5']);
  assert.deepEqual([both.stdout, both.stderr, both.exitCode], ['out', 'err', 5]);
  assert.equal((await exec(['-i'], ['wc', '-c'], { input: 'x'.repeat(100_000) })).stdout.trim(), '100000');
  assert.equal(
    (await exec(['-e', 'A=b', '-w', '/tmp', '-u', 'nobody'], ['sh', '-c', 'echo $A $PWD $(id -u)'])).stdout,
    'b /tmp 65534',
  );
  const missing = await exec([], ['nope']);
  assert.equal(missing.exitCode, 127);
  assert.match(missing.stderr, /^hawser: container host: exec: "nope" is not in its root file system/);
  assert.equal((await exec(['-d'], ['touch', '/tmp/from-exec'])).exitCode, 0);
  await until('the file', () => existsSync(join(lab.rootfs, 'tmp/from-exec')));
  await until(
    'all execs to be taken away',
    async () =>
      (JSON.parse(await lab.ok(['debug', 'host'])) as unknown) !== undefined &&
      (
        JSON.parse(await lab.ok(['debug', 'host'])) as { containers: { execs: { state: string }[] }[] }
      ).containers[0]!.execs.every(({ state }) => state === 'stopped'),
  );
  await lab.removeAll();
});

test('pause, unpause, kill, stop, restart, wait', async () => {
  await lab.start('state', 'trap "exit 9" USR1; while :; do sleep 0.1; done');
  const status = (): Promise<string> => lab.ok(['inspect', '-f', '{{.State.Status}}', 'state']);
  assert.equal(await lab.ok(['pause', 'state']), 'state');
  assert.equal(await status(), 'paused');
  assert.match(await lab.ok(['ps', '--format', '{{.Status}}']), /\(Paused\)$/);
  const inside = await lab.hawser(['exec', 'state', 'true']);
  assert.match(inside.stderr, /^hawser: container state is paused: `hawser unpause state` first$/);
  await lab.ok(['unpause', 'state']);
  const waiting = lab.ok(['wait', 'state']);
  await lab.ok(['kill', '-s', 'USR1', 'state']);
  assert.equal(await waiting, '9');
  assert.equal(await status(), 'exited');
  await lab.ok(['start', 'state']);
  const first = await lab.ok(['inspect', '-f', '{{.State.Pid}}', 'state']);
  await lab.ok(['restart', '-t', '0', 'state']);
  assert.notEqual(await lab.ok(['inspect', '-f', '{{.State.Pid}}', 'state']), first);
  await lab.ok(['stop', '-t', '0', 'state']);
  assert.equal(await lab.ok(['inspect', '-f', '{{.State.ExitCode}}', 'state']), '137');
  assert.equal((await lab.hawser(['kill', 'state'])).exitCode, 1);
  await lab.removeAll();
});

test('stop: by its own signal first', async () => {
  await lab.start('polite', 'trap "exit 3" INT; while :; do sleep 0.1; done', ['--stop-signal', 'SIGINT']);
  await lab.ok(['stop', 'polite']);
  assert.equal(await lab.ok(['wait', 'polite']), '3');
  await lab.removeAll();
});

test('rm: refuses what runs, unless forced, and goes on to the others', async () => {
  await lab.start('busy', 'sleep 100');
  await lab.ok(['create', '--name', 'idle', '--rootfs', lab.rootfs, 'true']);
  const { stdout, stderr, exitCode } = await lab.hawser(['rm', 'busy', 'idle', 'nobody']);
  assert.deepEqual([stdout, exitCode], ['idle', 1]);
  assert.match(
    stderr,
    /container busy cannot be removed while it is running: stop it first, or use rm -f\nhawser: container nobody does not exist in namespace /,
  );
  assert.equal(await lab.ok(['rm', '-f', 'busy']), 'busy');
});

test('top, stats, update, debug', async () => {
  await lab.start('seen', 'sleep 100; true');
  const [heading, ...lines] = (await lab.ok(['top', 'seen'])).split('\n');
  assert.match(heading!, /^UID +PID +PPID +C +STIME +TTY +TIME +CMD$/);
  assert.deepEqual(
    lines.map((line) => line.replace(/^.*\d\d:\d\d:\d\d +/, '')),
    ['/bin/sh -c sleep 100; true', 'sleep 100'],
  );
  assert.match(await lab.ok(['top', 'seen', '-eo', 'pid,comm']), /^ +PID COMMAND\n *\d+ sh\n *\d+ sleep$/);
  assert.match(
    await lab.ok(['stats', '--no-stream']),
    /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS\nseen +seen +[\d.]+% +[\d.]+\wiB \/ [\d.]+GiB +[\d.]+% .* 2$/,
  );
  await lab.ok(['update', '--memory', '48m', '--pids-limit', '50', 'seen']);
  assert.match(await lab.ok(['stats', '--no-stream', '--format', '{{.MemUsage}}']), /\/ 48MiB$/);
  const state = JSON.parse(await lab.ok(['debug', 'seen'])) as { format: number; id: string };
  assert.deepEqual([state.format, state.id], [1, 'seen']);
  assert.match(await lab.ok(['debug', 'seen', 'metrics']), /^hawser_shim_/m);
  await lab.removeAll();
});

test('events, as they happen', async () => {
  const listening = execa(PROGRAM, ['events', '--filter', 'container=heard', '--format', '{{.Topic}} {{.ID}}'], {
    env: lab.env,
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
  });
  let seen = '';
  listening.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString();
  });
  // When it listens can only be told by an event.
  await until('events to be heard', async () => {
    await lab.ok(['create', '--name', 'heard', '--rootfs', lab.rootfs, 'true']);
    await lab.ok(['rm', 'heard']);
    return seen !== '';
  });
  await until('the last of those', () => seen.trimEnd().endsWith('/containers/delete heard'));
  seen = '';
  await lab.ok(['run', '--rm', '--name', 'heard', '--rootfs', lab.rootfs, 'true']);
  await until('the end to be told', () => seen.includes('/containers/delete'));
  listening.kill('SIGINT');
  await listening;
  const topics = seen
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[0]);
  assert.deepEqual(
    topics.filter((topic) => topic!.includes('tasks')),
    ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete'],
  );
});

test('runtimes, plugins, info, version', async () => {
  assert.match(await lab.ok(['runtimes']), /^RUNTIME +DEFAULT +VERSION +SHIM\nio\.containerd\.runc\.v2 +\*(?: |$)/m);
  assert.match(
    await lab.ok(['plugins']),
    /^TYPE +ID +PLATFORMS +STATUS\n[^]*io\.containerd\.grpc\.v1 +tasks +(?:linux\/\w+|-) +ok/,
  );
  assert.equal(await lab.ok(['info', '-f', '{{.Containers}} {{.Namespace}}']), `0 ${lab.daemon.namespace}`);
  assert.match(
    await lab.ok(['version', '--format', '{{.Client.Version}} {{.Server.Version}}']),
    /^\d+\.\d+\.\d+\S* \d+\.\d+\.\d+/,
  );
});

test("images: import with its name, ls, run with the image's command, rm", async () => {
  const archive = await lab.image();
  assert.equal(await lab.ok(['images', 'import', archive]), 'docker.io/library/box:latest');
  assert.match(
    await lab.ok(['images']),
    /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE\nbox +latest +[0-9a-f]{12} .*\d[kM]?B$/,
  );
  assert.equal(await lab.ok(['run', '--rm', 'box']), 'from the image');
  assert.equal(await lab.ok(['run', '--rm', 'box', 'echo', 'mine']), 'mine');
  assert.equal(await lab.ok(['run', '--rm', '--entrypoint', '/bin/echo', 'box', 'mine', 'too']), 'mine too');
  assert.equal(await lab.ok(['images', 'rm', 'box']), 'box');
  assert.equal(await lab.ok(['images', '-q']), '');
  assert.equal(
    await lab.ok(['images', 'import', '--name', 'docker.io/library/other:1', '-'], {
      stdin: { file: archive } as never,
    }),
    'docker.io/library/other:1',
  );
  await lab.ok(['images', 'rm', 'other:1']);
});

test('trace: a waterfall, and files', async () => {
  const [json, svg] = [join(lab.daemon.dir, 'trace.json'), join(lab.daemon.dir, 'trace.svg')];
  const { stdout, stderr, exitCode } = await lab.hawser([
    'trace',
    '-o',
    json,
    '-o',
    svg,
    '--rootfs',
    lab.rootfs,
    'sh',
    '-c',
    'echo hello; exit 6',
  ]);
  assert.equal(exitCode, 6, stderr);
  assert.match(
    stdout,
    /^hello\n\n\w{12}: started after [\d.]+ m?s, its first output after [\d.]+ m?s\n\n +at ms +took +who +what\n/,
  );
  for (const what of [
    'client +connect',
    'daemon +containers.Create',
    'client +make the task',
    'daemon +event /tasks/start',
    'container +first output',
    'daemon +event /tasks/exit',
  ])
    assert.match(
      stdout,
      new RegExp(`^ +[\\d.]+ +(?:[\\d.]+|·) +${what} +[ ◆▏▎▍▌▋▊▉█]+$`.replace('event', ' *event'), 'm'),
      what,
    );
  const events = (
    JSON.parse(readFileSync(json, 'utf8')) as { traceEvents: { name: string; ph: string; ts?: number; dur?: number }[] }
  ).traceEvents;
  assert.ok(events.some(({ name, ph, dur }) => name === 'tasks.Create' && ph === 'X' && dur! > 0));
  assert.match(readFileSync(svg, 'utf8'), /^<svg [^]*tasks\.Start[^]*<\/svg>\n$/);
  assert.equal(await lab.ok(['ps', '-aq']), '');
});

test('a directory for files is made private', async () => {
  await lab.start('private', 'sleep 100');
  const { stdout } = await execa('find', [lab.env.HAWSER_DATA!, '-name', 'private', '-perm', '0700']);
  assert.notEqual(stdout, '');
  await lab.removeAll();
});
