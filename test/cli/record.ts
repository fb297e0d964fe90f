/** `make recording`: what the command line shows on a terminal, taken from a real one by tmux, as src/cli/RECORDING.md. */
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { top } from '../support/daemons.js';
import { Lab } from './lab.js';

const [COLUMNS, ROWS] = [118, 40];
const PROMPT = '$ ';
const BOUND_MS = 30_000;
const BOX = '/tmp/box';

if (existsSync(BOX)) throw new Error(`${BOX} is in the way: remove it`);
const lab = await Lab.open();
const SESSION = `hawser-recording-${process.pid}`;

function tmux(...args: string[]): string {
  return execFileSync('tmux', ['-L', SESSION, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: lab.daemon.dir, TERM: 'xterm', LC_ALL: 'C.UTF-8' },
  });
}

/** Names of this machine and run are nobody's business. */
function clean(text: string): string {
  return text
    .replaceAll(lab.daemon.socket, '/run/hawser/hawserd.sock')
    .replaceAll(lab.daemon.namespace, 'default')
    .replaceAll(lab.daemon.dir, '/srv')
    .replaceAll(`${top}bin/`, '')
    .replace(/[ \t]+$/gm, '')
    .trimEnd();
}

function screen(): string {
  return clean(tmux('capture-pane', '-p', '-J', '-t', SESSION));
}

/** Types and waits for what is to show. */
async function type(text: string, shows: RegExp): Promise<void> {
  tmux('send-keys', '-t', SESSION, '-l', text);
  tmux('send-keys', '-t', SESSION, 'Enter');
  await showing(shows);
}

async function keys(names: string[], shows: RegExp): Promise<void> {
  for (const name of names) tmux('send-keys', '-t', SESSION, name);
  await showing(shows);
}

async function showing(pattern: RegExp): Promise<void> {
  for (const deadline = Date.now() + BOUND_MS; Date.now() < deadline; await delay(50))
    if (pattern.test(screen())) return;
  throw new Error(`waited in vain for ${String(pattern)}; the screen shows:\n${screen()}`);
}

const sections: string[] = [];

/** A new screen, on which something is done, and which is kept. */
async function scene(title: string, about: string, play: () => Promise<void>): Promise<void> {
  tmux('send-keys', '-t', SESSION, 'C-l');
  tmux('clear-history', '-t', SESSION);
  await showing(/^\$$/);
  await play();
  sections.push(`## ${title}\n\n${about}\n\n\`\`\`text\n${screen()}\n\`\`\`\n`);
}

const DONE = /\n\$$/;

try {
  // Of a length that leaves columns as they are.
  execFileSync('cp', ['-a', lab.rootfs, BOX]);
  const env = { ...lab.env, PATH: `${top}bin:${lab.env.PATH!}`, R: BOX, PS1: PROMPT, LC_ALL: 'C.UTF-8' };
  execFileSync('sh', ['-c', `cp ${await lab.image()} ${lab.daemon.dir}/box.tar`]);
  tmux(
    'new-session',
    '-d',
    '-s',
    SESSION,
    '-x',
    String(COLUMNS),
    '-y',
    String(ROWS),
    '-c',
    lab.daemon.dir,
    'env',
    '-i',
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    'bash',
    '--norc',
    '--noprofile',
  );
  await showing(/\$$/);
  tmux('send-keys', '-t', SESSION, 'source <(hawser completion bash)', 'Enter');

  await scene(
    'run -it, detach, attach',
    'A shell in a container; ctrl-p ctrl-q leaves it running, `attach` comes back to it. $R is a directory with busybox in it.',
    async () => {
      await type('hawser run -it --name shell --rootfs $R sh', /\/ #$/);
      await type('echo $$; tty; X=remembered', /pts\/0\n\/ #$/);
      await keys(['C-p', 'C-q'], DONE);
      await type('hawser ps', DONE);
      await type('hawser attach shell', /attach shell\n(.*\n)*.*\/ #$/);
      await type('echo $X', /remembered\n\/ #$/);
      await type('exit 3', DONE);
      await type('echo $?', /\n3\n\$$/);
      await type('hawser ps -a', /Exited \(3\)(.*\n)+\$$/);
    },
  );
  await scene(
    'exec, logs -f',
    'Another process in a container that runs, and what it prints as it prints it; ^C ends the looking.',
    async () => {
      await type(
        "hawser run -d --name web --rootfs $R sh -c 'i=0; while :; do i=$((i+1)); echo request $i; sleep 0.5; done'",
        /\nweb\n\$$/,
      );
      await type("hawser exec web sh -c 'ps; exit 4'; echo $?", /\n4\n\$$/);
      await type('echo -n hello | hawser exec -i web md5sum', /5d41402a.*\n\$$/);
      await type('hawser logs -f --tail 3 web', /(request \d+\n?){5}/);
      await keys(['C-c'], DONE);
      await type('hawser top web', /CMD\n(.*\n)+\$$/);
    },
  );
  await scene('stats', 'Live, until ^C.', async () => {
    await type(
      'hawser run -d --name busy --memory 64m --cpus 0.5 --rootfs $R sh -c "while :; do :; done"',
      /\nbusy\n\$$/,
    );
    tmux('send-keys', '-t', SESSION, 'clear; hawser stats', 'Enter');
    await showing(/busy +busy +[345]\d\.\d\d%/);
  });
  await keys(['C-c'], DONE);
  await scene('trace', "Where a container's milliseconds went, by all who had to do with it.", async () => {
    await type('hawser trace -o trace.json -o trace.svg --rootfs $R echo hello', /trace\.svg\n\$$/);
  });
  await scene(
    'images',
    'An archive taken in (on a terminal with a line that says how far it is), and a container of it.',
    async () => {
      await type('hawser images import box.tar', /box:latest\n\$$/);
      await type('hawser images', DONE);
      await type('hawser run --rm box', /from the image\n\$$/);
    },
  );
  await scene('stop, rm, inspect', 'And templates, as docker has them.', async () => {
    await type("hawser inspect -f '{{.State.Status}} {{.State.Pid}} {{json .Args}}' busy", /running \d+ .*\n\$$/);
    await type('hawser stop -t 1 busy web', /\nbusy\nweb\n\$$/);
    await type("hawser ps -a --format 'table {{.ID}}\\t{{.Status}}'", /CONTAINER ID(.*\n)+\$$/);
    await type('hawser rm busy web shell', /\nshell\n\$$/);
  });
  await lab.ok(['run', '-d', '--name', 'database', '--rootfs', lab.rootfs, 'sleep', '1000']);
  await scene(
    'An error of each kind',
    "One line: the thing, the cause, the next step. Exit statuses are docker's.",
    async () => {
      for (const [command, status] of [
        ['hawser -a /run/nobody.sock ps', 125],
        ['hawser run --rootfs $R --memori 1g true', 125],
        ['hawser inspct x', 125],
        ['hawser exec nobody true', 1],
        ['hawser run --pull never busybox true', 125],
        ['hawser run --rm --rootfs $R nope', 127],
        ['hawser run --rm --rootfs $R /etc', 126],
        ["hawser run --rm --rootfs $R sh -c 'exit 42'", 42],
        ['hawser ps --format "{{.Nmae}}"', 125],
      ] as const)
        await type(`${command}; echo "=> $?"`, new RegExp(`\\n=> ${status}\\n\\$$`));
    },
  );
  await scene(
    'Completion',
    'Commands, flags, their values, and containers by name; the tab key was pressed where the line goes on.',
    async () => {
      tmux('send-keys', '-t', SESSION, '-l', 'hawser ru');
      await keys(['Tab', 'Tab', 'Tab'], /run +runtimes/);
      tmux('send-keys', '-t', SESSION, '-l', ' --cpu');
      await keys(['Tab', 'Tab'], /--cpu-shares +--cpus/);
      tmux('send-keys', '-t', SESSION, 'C-u');
      tmux('send-keys', '-t', SESSION, '-l', 'hawser stop dat');
      await keys(['Tab'], /hawser stop database/);
      await keys(['Enter'], /\ndatabase\n\$$/);
    },
  );
  writeFileSync(
    join(top, 'src/cli/RECORDING.md'),
    `# What hawser shows

Taken from a terminal by \`make recording\` (tmux): nothing is typed in by hand.

${sections.join('\n')}`,
  );
} finally {
  try {
    tmux('kill-server');
  } finally {
    await lab.close();
    rmSync(BOX, { recursive: true, force: true });
  }
}
