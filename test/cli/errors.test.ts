/** An error of each kind: one line that names the thing, the cause and the next step, and docker's exit status. */
import assert from 'node:assert/strict';
import { linkSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { example, makeShims } from '../support/custom-shims.js';
import { temporaryDirectory } from '../support/daemons.js';
import { Lab } from './lab.js';

let lab: Lab;
before(async () => {
  lab = await Lab.open();
});
after(() => lab.close());

const cases = (): readonly [args: string[], exitCode: number, says: RegExp][] => [
  [
    ['--address', '/run/no/such.sock', 'ps'],
    125,
    /^hawser: no daemon at \/run\/no\/such\.sock: there is no such socket; start one \(`hawserd`, or `systemctl start containerd`\), or name its socket with --address$/,
  ],
  [['--address', '/etc/passwd', 'ps'], 125, /^hawser: \/etc\/passwd is no socket, so no daemon can be there; /],
  [
    ['exec', 'nobody', 'true'],
    1,
    /^hawser: container nobody does not exist in namespace \S+ of \S+: `hawser ps -a` lists what does$/,
  ],
  [['logs', 'nobody'], 1, /container nobody does not exist/],
  [
    ['run', '--pull', 'never', 'no-such-image', 'true'],
    125,
    /^hawser: image no-such-image is not there: fetch it with `hawser pull no-such-image`, take one in with `hawser images import FILE`, or give a directory with --rootfs; `hawser images` lists what is there$/,
  ],
  [['run', '--rootfs', '/no/such/dir', 'true'], 125, /^hawser: --rootfs \/no\/such\/dir: there is no such directory$/],
  [
    ['run', '--rootfs', '/'],
    125,
    /^hawser: --rootfs \/: a command must follow, as there is no image that names one\. See 'hawser /,
  ],
  [['run'], 125, /^hawser: there is neither an image nor --rootfs DIR\. See 'hawser /],
  [
    ['run', '--memori', '1g', 'x'],
    125,
    /^hawser: unknown option '--memori'; did you mean --memory\? See 'hawser run --help'$/,
  ],
  [['inspct'], 125, /^hawser: unknown command inspct; did you mean inspect\? See 'hawser --help'$/],
  [['pul', 'busybox'], 125, /^hawser: unknown command pul; did you mean pull\? See 'hawser --help'$/],
  [['stpo', 'x'], 125, /^hawser: unknown command stpo\. See /],
  [['sto', 'x'], 125, /^hawser: unknown command sto; did you mean stop\? See /],
  [
    ['run', '-v', 'some/data:/data', 'x'],
    125,
    /^hawser: --volume "some\/data:\/data": some\/data is no volume's name; a path begins with \/ or \.\/\. See /,
  ],
  [['run', '--detach-keys', 'ctrl-!', 'x'], 125, /^hawser: --detach-keys "ctrl-!": "ctrl-!" is no key; /],
  [
    ['run', '--rootfs', lab.rootfs, '--name', 'no/slash', 'x'],
    125,
    /^hawser: --name "no\/slash": an id has letters and digits/,
  ],
  [
    ['run', '--ulimit', 'core=-1:5', 'x'],
    125,
    /^hawser: --ulimit "core=-1:5": the soft limit, none, is above the hard one, 5\. See /,
  ],
  [
    ['run', '--ulimit', 'core=18446744073709551616', 'x'],
    125,
    /^hawser: --ulimit "core=18446744073709551616": a limit is 18446744073709551615 at most, which is none, as -1 is\. See /,
  ],
  [['run', '--ulimit', 'cores=1', 'x'], 125, /^hawser: --ulimit "cores=1": there are as, core, /],
  [
    ['run', '--rootfs', lab.rootfs, '--name', 'x', '--stop-signal', 'NOPE', 'true'],
    125,
    /^hawser: container x cannot be made: signal "NOPE" is none that this machine has/,
  ],
  [['kill', '-s', 'RTMIN+99', 'x'], 125, /^hawser: signal "RTMIN\+99" does not exist: /],
  [
    ['kill', '-s', 'NOPE', 'x'],
    125,
    /^hawser: signal "NOPE" does not exist: give a name such as TERM, or a number from 1 to 64/,
  ],
  [
    ['ps', '--filter', 'color=red'],
    125,
    /^hawser: --filter "color=red": there are id, name, label, status, exited and ancestor, as name=web\. See 'hawser ps --help'$/,
  ],
  [
    ['ps', '-a', '--format', '{{.Nmae}}'],
    125,
    /^hawser: --format "\{\{\.Nmae\}\}": there is no field \.Nmae; there are \.ID, /,
  ],
  [['update', 'x'], 125, /^hawser: update: there is nothing to change: give a limit such as --memory 512m/],
  [['images', 'import', '/no/such.tar'], 1, /^hawser: images import: there is no file \/no\/such\.tar; /],
  [['tag', 'nothing', 'x'], 1, /^hawser: image nothing is not there: `hawser images` lists what is$/],
  [['push', '-q', 'nothing'], 1, /^hawser: image nothing cannot be pushed: it is not there: /],
  [['save', 'nothing'], 1, /^hawser: image nothing is not there: /],
  [['images', 'prune'], 1, /^hawser: images prune: standard input is no terminal to ask at: /],
  [['rmi', 'nothing'], 1, /^hawser: image nothing is not there: /],
  [['images', 'rm', 'nothing'], 1, /^hawser: image nothing is not there: `hawser images` lists what is$/],
  [['trace', '-o', 'x.txt', 'box'], 125, /^hawser: --output x\.txt: its name must end with \.json or \.svg/],
];

test('an error of each kind', async () => {
  await lab.ok(['create', '--name', 'there', '--rootfs', lab.rootfs, 'true']);
  for (const [args, exitCode, says] of cases()) {
    const result = await lab.hawser(args);
    assert.equal(result.stderr.split('\n').length, 1, result.stderr);
    assert.match(result.stderr, says, args.join(' '));
    assert.equal(result.exitCode, exitCode, `${args.join(' ')}: ${result.stderr}`);
    assert.equal(result.stdout, '');
  }
  await lab.removeAll();
});

test('a name that is taken', async () => {
  await lab.ok(['create', '--name', 'taken', '--rootfs', lab.rootfs, 'true']);
  const { stderr, exitCode } = await lab.run(['--name', 'taken'], ['true']);
  assert.equal(exitCode, 125);
  assert.match(
    stderr,
    /^hawser: container taken cannot be made: there is one already; remove it with `hawser rm taken`, or choose another --name$/,
  );
  await lab.removeAll();
});

test('a container that does not run', async () => {
  await lab.ok(['create', '--name', 'still', '--rootfs', lab.rootfs, 'true']);
  for (const [args, says] of [
    [['exec', 'still', 'true'], /^hawser: container still does not run: `hawser start still` first$/],
    [
      ['attach', 'still'],
      /^hawser: container still does not run, so there is nothing to attach to: start it with `hawser start -a still`$/,
    ],
    [['kill', 'still'], /^hawser: container still cannot be sent a signal: it does not run; `hawser start` starts it$/],
    [['pause', 'still'], /^hawser: container still cannot be paused: it does not run$/],
    [['top', 'still'], /^hawser: container still has no processes: it does not run$/],
    [['debug', 'still'], /^hawser: container still has no shim: it does not run; `hawser start still` starts it$/],
    [
      ['wait', 'still'],
      /^hawser: container still has not been started, so that it has no end to wait for: `hawser start still`$/,
    ],
    [['stats', '--no-stream', 'still'], /^hawser: container still does not run, and uses nothing: /],
  ] as const) {
    const { stderr, exitCode } = await lab.hawser(args);
    assert.match(stderr, says);
    assert.equal(exitCode, 1, args.join(' '));
  }
  await lab.removeAll();
});

test('a container that runs on a shim without figures', async () => {
  const shims = makeShims(temporaryDirectory('shims'), { plain: example('process-shim') });
  const own = await Lab.open(undefined, shims);
  try {
    await own.ok([
      'run',
      '-d',
      '--name',
      'plain',
      '--runtime',
      'io.containerd.plain.v1',
      '--log-driver',
      'none',
      '--rootfs',
      own.rootfs,
      '/bin/sleep',
      '1000',
    ]);
    const { stderr, exitCode } = await own.hawser(['stats', '--no-stream', 'plain']);
    assert.match(
      stderr,
      /^hawser: container plain has no figures: the shim of its runtime io\.containerd\.plain\.v1 gives none$/,
    );
    assert.equal(exitCode, 1);
  } finally {
    await own.close();
    rmSync(dirname(shims), { recursive: true });
  }
});

test('a socket that nobody listens at any more', async () => {
  const path = join(lab.daemon.dir, 'dead.sock');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const left = join(lab.daemon.dir, 'left.sock');
  // A daemon that was killed leaves its socket.
  linkSync(path, left);
  await new Promise((resolve) => server.close(resolve));
  const { stderr, exitCode } = await lab.hawser(['--address', left, 'ps']);
  assert.equal(exitCode, 125);
  assert.match(
    stderr,
    /^hawser: no daemon answers at \S+left\.sock: its socket is there, but nobody listens; start it again, or name another with --address$/,
  );
});

test('what is no archive is not taken in', async () => {
  const file = join(lab.daemon.dir, 'no.tar');
  writeFileSync(file, 'no archive at all');
  const { stderr, exitCode } = await lab.hawser(['images', 'import', file]);
  assert.equal(exitCode, 1);
  assert.match(stderr, /^hawser: \S+no\.tar cannot be taken in: /);
});
