/** hawser at a terminal: run -it, detach, attach, exec -it, and giving the terminal back. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { execa } from 'execa';
import { until } from '../support/daemons.js';
import { Terminal } from '../support/terminal.js';
import { Lab, PROGRAM } from './lab.js';

const DETACH = '\x10\x11';

let lab: Lab;
before(async () => {
  lab = await Lab.open();
});
after(() => lab.close());

/** A shell at a terminal, which hawser is then run from: one can see what it leaves behind. */
function shellAt(): Terminal {
  return new Terminal(
    '/usr/bin/env',
    ['-i', ...Object.entries(lab.env).map(([name, value]) => `${name}=${value}`), 'PS1=$ ', '/bin/sh', '-i'],
    { cols: 200 },
  );
}

test('run -it: a shell with a terminal, its size, its exit status', async () => {
  const terminal = lab.terminal(['run', '-it', '--rm', '--name', 'shell', '--rootfs', lab.rootfs, 'sh'], {
    cols: 91,
    rows: 27,
  });
  await terminal.shows(/\/ # /);
  await terminal.showsSize(91, 27);
  terminal.resize(100, 30);
  await terminal.showsSize(100, 30);
  terminal.type('tty; echo $TERM\r');
  await terminal.shows(/\/dev\/pts\/0\r\nxterm\r\n/);
  // ^C is the container's.
  terminal.type('echo now$((1+1)); cat\r');
  await terminal.shows(/now2\r\n/);
  // Until cat is there it would be the shell's, which waits for cat then.
  terminal.type('heard\r');
  await terminal.shows(/heard\r\nheard\r\n/);
  terminal.type('\x03');
  await terminal.shows(/\/ # /);
  terminal.type('exit 5\r');
  assert.equal(await terminal.ends(), 5);
  assert.equal(await lab.ok(['ps', '-aq']), '');
});

test('detach leaves it running, attach comes back to it, and --rm removes it after all', async () => {
  const first = lab.terminal(['run', '-it', '--rm', '--name', 'kept', '--rootfs', lab.rootfs, 'sh']);
  await first.shows(/\/ # /);
  first.type('X=remembered\r');
  await first.shows(/X=remembered\r\n[^]*\/ # /);
  first.type(DETACH);
  assert.equal(await first.ends(), 0);
  assert.equal(await lab.ok(['ps', '-q']), 'kept');
  const second = lab.terminal(['attach', 'kept']);
  second.type('echo $X again\r');
  await second.shows(/remembered again\r\n/);
  // What is shown while nobody looks is in its log.
  second.type('(sleep 0.3; echo un$((1+1))seen) &\r');
  await second.shows(/&\r\n/);
  second.type(DETACH);
  assert.equal(await second.ends(), 0);
  await until('the log', async () => (await lab.ok(['logs', 'kept'])).includes('un2seen'));
  const third = lab.terminal(['attach', '--detach-keys', 'ctrl-a,d', 'kept']);
  third.type('exit 3\r');
  assert.equal(await third.ends(), 3);
  await until('it to be removed', async () => (await lab.ok(['ps', '-aq'])) === '');
});

test('run -it --log-driver none: shown to whoever is there, and to who comes back', async () => {
  const first = lab.terminal([
    ...['run', '-it', '--rm', '--name', 'unkept', '--log-driver', 'none'],
    ...['--rootfs', lab.rootfs, 'sh'],
  ]);
  await first.shows(/\/ # /);
  first.type(DETACH);
  assert.equal(await first.ends(), 0);
  const second = lab.terminal(['attach', 'unkept']);
  second.type('echo back$((1+1)); exit 4\r');
  await second.shows(/back2\r\n/);
  assert.equal(await second.ends(), 4);
  await until('it is gone', async () => (await lab.ok(['ps', '-aq'])) === '');
});

test('run -dit, attach with other keys to leave by', async () => {
  await lab.ok(['run', '-dit', '--name', 'dit', '--rootfs', lab.rootfs, 'sh']);
  const terminal = lab.terminal(['attach', '--detach-keys', 'ctrl-a,d', 'dit']);
  terminal.type('echo a$((1+1))b\r');
  await terminal.shows(/a2b\r\n/);
  terminal.type('\x01d');
  assert.equal(await terminal.ends(), 0);
  await lab.ok(['rm', '-f', 'dit']);
});

test('two look at the same container', async () => {
  await lab.ok(['run', '-dit', '--name', 'shared', '--rootfs', lab.rootfs, 'sh']);
  const [one, two] = [lab.terminal(['attach', 'shared']), lab.terminal(['attach', '--no-stdin', 'shared'])];
  one.type('echo both$((1+1))\r');
  await one.shows(/both2\r\n/);
  // Whoever comes is shown what comes from then on.
  await until('the other to see it', () => {
    one.type('echo again$((2+2))\r');
    return two.screen.includes('again4');
  });
  await one.shows(/again4\r\n/);
  one.type('exit 0\r');
  assert.deepEqual([await one.ends(), await two.ends()], [0, 0]);
  await lab.ok(['rm', 'shared']);
});

test('exec -it: a terminal of its own', async () => {
  await lab.start('host', 'sleep 1000');
  const terminal = lab.terminal(['exec', '-it', 'host', 'sh'], { cols: 77, rows: 22 });
  await terminal.shows(/\/ # /);
  await terminal.showsSize(77, 22);
  terminal.type('exit 4\r');
  assert.equal(await terminal.ends(), 4);
  await lab.ok(['rm', '-f', 'host']);
});

test('the terminal is given back: after the end, after detaching, after a signal', async () => {
  const terminal = shellAt();
  try {
    const settings = async (): Promise<string> => {
      terminal.type('stty -a | tr ";" "\\n" | grep -c -- "-icanon\\|-echo$\\|-isig"; echo settings-end\r');
      const [, count] = await terminal.shows(/(\d+)\r\nsettings-end\r\n\$ /);
      return count!;
    };
    await terminal.shows(/\$ /);
    const before = await settings();
    const run = `${PROGRAM} run -it --rm --rootfs ${lab.rootfs}`;
    terminal.type(`${run} sh -c 'echo in; read x'\r`);
    await terminal.shows(/\nin\r/);
    terminal.type('\r');
    await terminal.shows(/\$ /);
    assert.equal(await settings(), before, 'after its end');
    for (const signal of ['TERM', 'HUP']) {
      terminal.type(`${run} --name raw-${signal} sh -c 'echo in; read x'\r`);
      await terminal.shows(/\nin\r/);
      const { stdout } = await execa('pgrep', ['-f', `hawser.cjs run -it .*raw-${signal} `]);
      process.kill(Number(stdout.split('\n')[0]), `SIG${signal}`);
      await terminal.shows(/\$ /);
      assert.equal(await settings(), before, `after SIG${signal}`);
      await lab.ok(['rm', '-f', `raw-${signal}`]);
    }
  } finally {
    terminal.kill();
  }
});

test('piped input has no terminal to give', async () => {
  const { exitCode, stderr } = await lab.run(['-it', '--rm'], ['sh'], { input: 'exit\n' });
  assert.equal(exitCode, 125);
  assert.match(stderr, /^hawser: run -t -i: standard input is no terminal: leave out -t\. See 'hawser run --help'$/);
});
