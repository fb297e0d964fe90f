/** hawser logs by docker's rules: both outputs apart, times, since and until, whoever keeps the log. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { execa } from 'execa';
import { until } from '../support/daemons.js';
import { entriesIn, logParts, printed } from '../support/entries.js';
import { Lab, PROGRAM } from './lab.js';

let lab: Lab;
before(async () => {
  lab = await Lab.open();
});
after(() => lab.close());

const TIMED = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (.*)$/;

/** The times of lines, in a text of `logs -t`, and the lines. */
function timed(text: string): { times: string[]; lines: string[] } {
  const found = text.split('\n').map((line) => TIMED.exec(line) ?? assert.fail(`no time: ${line}`));
  return { times: found.map(([, time]) => time!), lines: found.map(([, , line]) => line!) };
}

const pathOf = (name: string): Promise<string> => lab.ok(['inspect', '-f', '{{.LogPath}}', name]);

test('both outputs stay apart, and what is given back is what was printed, byte for byte', async () => {
  const script =
    'printf "no newline"; echo; echo complaint >&2; printf "a\\0b\\377"; echo; head -c 40000 /dev/zero | tr "\\0" x; printf end';
  await lab.start('apart', script);
  await lab.ok(['wait', 'apart']);
  const { stdout, stderr } = await execa(PROGRAM, ['logs', 'apart'], {
    env: lab.env,
    extendEnv: false,
    encoding: 'buffer',
    stripFinalNewline: false,
  });
  assert.equal(Buffer.from(stdout).toString('latin1'), `no newline\na\0b\xff\n${'x'.repeat(40_000)}end`);
  assert.equal(Buffer.from(stderr).toString(), 'complaint\n');
  const lines = timed(await lab.ok(['logs', '-t', 'apart'])).lines;
  assert.equal(lines.length, 3, 'a line has one time, in however many pieces it came');
  assert.deepEqual([lines[0], lines[2]], ['no newline', `${'x'.repeat(40_000)}end`]);
  // The last but one may be of either output: there is no order between them.
  const { stdout: last } = await lab.hawser(['logs', '-t', '-n', '2', 'apart']);
  assert.equal(timed(last).lines.at(-1), lines[2]);
  await lab.removeAll();
});

test('-t, --since, --until and --tail: of each other what docker makes of them', async () => {
  const script = 'for i in 1 2 3 4 5 6; do echo "line $i"; [ $i = 3 ] && echo "error $i" >&2; sleep 0.05; done';
  const start = new Date();
  await lab.start('times', script);
  await lab.ok(['wait', 'times']);
  const show = async (...flags: string[]): Promise<string[]> => {
    const { stdout, exitCode, stderr } = await lab.hawser(['logs', ...flags, 'times']);
    assert.equal(exitCode, 0, stderr);
    return stdout.split('\n').filter(Boolean);
  };
  const { times, lines } = timed((await show('--timestamps')).join('\n'));
  assert.deepEqual(
    lines,
    [1, 2, 3, 4, 5, 6].map((n) => `line ${n}`),
  );
  assert.deepEqual(times, [...times].sort());
  assert.ok(times[0]! > start.toISOString() && times[5]! < new Date().toISOString());
  const numbers = async (...flags: string[]): Promise<string> =>
    (await show(...flags)).map((line) => line.at(-1)).join('');
  // Both ends are meant.
  assert.equal(await numbers('--since', times[2]!), '3456');
  assert.equal(await numbers('--until', times[2]!), '123');
  assert.equal(await numbers('--since', times[1]!, '--until', times[3]!), '234');
  // The last lines of all, of both outputs, and then those of the time.
  assert.equal(await numbers('--tail', '3', '--since', times[1]!), '456');
  assert.equal(await numbers('--tail', '3', '--until', times[4]!), '45');
  assert.equal(await numbers('-n', '5', '--until', times[2]!), '3');
  assert.equal(await numbers('-n', '0'), '');
  assert.equal(await numbers('-n', '-1'), '123456');
  // What docker reads: durations, seconds with a fraction, other zones, a date, and what has no zone is of here.
  const seconds = (time: string): string => `${Math.floor(Date.parse(time) / 1000)}.${time.slice(20, 29)}`;
  assert.equal(await numbers('--since', seconds(times[4]!)), '56');
  assert.equal(await numbers('--since', '10m'), '123456');
  assert.equal(await numbers('--until', '10m'), '');
  assert.equal(await numbers('--since', '1h30m', '--until', '0s'), '123456');
  const elsewhere = new Date(Date.parse(times[3]!) + 2 * 3_600_000).toISOString().slice(0, 19);
  assert.equal(await numbers('--since', `${elsewhere}${times[3]!.slice(19, 29)}+02:00`), '456');
  assert.equal(await numbers('--since', '2020-01-01'), '123456');
  assert.equal(await numbers('--until', '2020-01-01T10'), '');
  const { stderr, exitCode } = await lab.hawser(['logs', '--until', 'yesterday', 'times']);
  assert.equal(exitCode, 125);
  assert.match(stderr, /^hawser: --until "yesterday" is no time: give one such as 2024-05-01T10:00:00Z, /);
  // Standard error has its times, too.
  const { stderr: complaint } = await lab.hawser(['logs', '-t', 'times']);
  assert.deepEqual(timed(complaint).lines, ['error 3']);
  await lab.removeAll();
});

test('-f goes on through rotations with both outputs, and ends when its time has come', async () => {
  await lab.start(
    'follow',
    'i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo "line $i .............................."; echo "error $i" >&2; sleep 0.02; done; sleep 1000',
    ['--log-opt', 'max-size=1k', '--log-opt', 'max-file=99'],
  );
  const before = performance.now();
  const end = new Date(Date.now() + 4000).toISOString();
  const { stdout, stderr } = await lab.hawser(['logs', '-f', '--until', end, 'follow']);
  assert.ok(performance.now() - before > 2000, 'it has waited for its time');
  const numbers = (text: string): string[] => text.split('\n').map((line) => line.split(' ')[1]!);
  const expected = Array.from({ length: 60 }, (_, i) => String(i + 1));
  assert.deepEqual([numbers(stdout), numbers(stderr)], [expected, expected]);
  const path = await pathOf('follow');
  assert.ok(existsSync(`${path}.5`), 'it was rotated');
  for (const part of logParts(path)) assert.ok(part.length <= 1024);
  // A time that is over is none to wait for.
  assert.deepEqual(numbers((await lab.hawser(['logs', '-f', '--until', '0s', 'follow'])).stdout), expected);
  await lab.removeAll();
});

test('a terminal: one output, with times, and attach shows it as it is', async () => {
  await lab.ok([
    'run',
    '-dit',
    '--name',
    'tty',
    '--rootfs',
    lab.rootfs,
    'sh',
    '-c',
    'echo one; echo two >&2; read x; echo "$x!"; sleep 1000',
  ]);
  await until('its log', async () => (await lab.ok(['logs', 'tty'])) === 'one\r\ntwo');
  const { stdout, stderr } = await lab.hawser(['logs', '-t', 'tty']);
  assert.deepEqual([timed(stdout.replaceAll('\r', '')).lines, stderr], [['one', 'two'], '']);
  const terminal = lab.terminal(['attach', 'tty']);
  terminal.type('typed\r');
  await terminal.shows(/typed\r\ntyped!/);
  assert.doesNotMatch(terminal.screen, /stdout [FP]/);
  terminal.type('\x10\x11');
  assert.equal(await terminal.ends(), 0);
  await lab.removeAll();
});

test('what runs in the foreground has a log beside: its output is exact, and logs has it with its times', async () => {
  const script = 'echo out; echo err >&2; printf end; head -c 3000000 /dev/zero | tr "\\0" "\\n"';
  const { stdout, stderr } = await lab.run(
    ['--name', 'front', '--log-opt', 'max-size=100k', '--log-opt', 'max-file=2'],
    ['sh', '-c', script],
    {
      stripFinalNewline: false,
    },
  );
  assert.equal(stdout, `out\nend${'\n'.repeat(3_000_000)}`);
  assert.equal(stderr, 'err\n');
  const path = await pathOf('front');
  const parts = logParts(path);
  assert.equal(parts.length, 2, 'the same limits hold');
  for (const part of parts) {
    assert.ok(part.length <= 100 * 1024);
    assert.match(printed(entriesIn(part)), /^\n+$/);
  }
  assert.equal((await lab.hawser(['logs', '--tail', '3', 'front'], { stripFinalNewline: false })).stdout, '\n\n\n');

  const small = await lab.run(['--name', 'small'], ['sh', '-c', 'echo out; echo err >&2; printf "no end"']);
  assert.deepEqual([small.stdout, small.stderr], ['out\nno end', 'err']);
  const logged = await lab.hawser(['logs', '-t', 'small']);
  assert.deepEqual([timed(logged.stdout).lines, timed(logged.stderr).lines], [['out', 'no end'], ['err']]);
  // Started again, it goes on in the same log.
  await lab.ok(['start', 'small']);
  await lab.ok(['wait', 'small']);
  assert.equal(await lab.ok(['logs', 'small']), 'out\nno endout\nno end');

  await lab.run(['--name', 'none', '--log-driver', 'none'], ['echo', 'unheard']);
  assert.equal(await pathOf('none'), '');
  assert.match(
    (await lab.hawser(['logs', 'none'])).stderr,
    /^hawser: container none has no log: it was made with --log-driver none/,
  );
  await lab.removeAll();
});

test('the log of a foreground run can be followed while it runs', async () => {
  const running = execa(PROGRAM, ['run', '-i', '--rm', '--name', 'live', '--rootfs', lab.rootfs, 'cat'], {
    env: lab.env,
    extendEnv: false,
    stdin: 'pipe',
  });
  await until('it runs', async () => (await lab.ok(['ps', '-q'])) === 'live');
  running.stdin.write('one\n');
  await until('its log', async () => (await lab.hawser(['logs', 'live'])).stdout === 'one');
  const followed = execa(PROGRAM, ['logs', '-f', 'live'], { env: lab.env, extendEnv: false, stdin: 'ignore' });
  await new Promise((resolve) => followed.stdout.once('data', resolve));
  running.stdin.end('two\n');
  assert.equal((await running).stdout, 'one\ntwo');
  assert.equal((await followed).stdout, 'one\ntwo');
});

test('a log of bytes has no times, and says so: an own file, unless it is to have them', async () => {
  const file = join(lab.daemon.dir, 'own.log');
  await lab.run(['--name', 'raw', '--log-driver', `file:${file}`], ['sh', '-c', 'echo out; echo err >&2']);
  assert.equal(readFileSync(file, 'utf8'), 'out\nerr\n');
  assert.equal(await lab.ok(['logs', 'raw']), 'out\nerr');
  for (const flags of [['-t'], ['--since', '1h'], ['--until', '1h']]) {
    const { stdout, stderr, exitCode } = await lab.hawser(['logs', ...flags, 'raw']);
    assert.deepEqual([stdout, exitCode], ['', 125]);
    assert.match(
      stderr,
      /^hawser: logs --\w+: the log of container raw is what it has printed, as it is, without times: /,
    );
  }
  const timedFile = `${file}.cri`;
  await lab.run(['--name', 'cri', '--log-opt', `path=${timedFile}`, '--log-opt', 'format=cri'], ['echo', 'out']);
  assert.equal(printed(entriesIn(readFileSync(timedFile, 'latin1'))), 'out\n');
  const { stderr, exitCode } = await lab.run(['--log-opt', 'format=json'], ['true']);
  assert.equal(exitCode, 125);
  assert.match(stderr, /^hawser: --log-opt format=json: there are cri, with times, and raw, /);
  await lab.removeAll();
});
