/** `make recording`: what the command line shows on a terminal, taken from a real one by tmux, as src/cli/RECORDING.md. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { COMPOSE_FILE, composeProgram, importComposeImage } from '../support/compose.js';
import { Dockerd, top } from '../support/daemons.js';
import { NetworkHost } from '../support/network-host.js';
import { ScriptedRegistry } from '../support/scripted-registry.js';
import { Lab } from './lab.js';

const [COLUMNS, ROWS] = [118, 40];
const PROMPT = '$ ';
const BOUND_MS = 30_000;
const BOX = '/tmp/box';

if (existsSync(BOX)) throw new Error(`${BOX} is in the way: remove it`);
const compose = composeProgram();
if ('missing' in compose) throw new Error(compose.missing);
const lab = await Lab.open();
/** Where containers have networks, and nothing of the machine's is touched. */
const host = await NetworkHost.open();
const networked = await Lab.openInside(host);
const dockerd = new Dockerd(networked.daemon, host);
const registry = await ScriptedRegistry.start();
const SESSION = `hawser-recording-${process.pid}`;
/** That of the second lab, and one for docker's clients there. */
const [NETWORKED, DOCKER] = ['networked', 'docker'];
let session = SESSION;

function tmux(...args: string[]): string {
  return execFileSync('tmux', ['-L', SESSION, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: lab.daemon.dir, TERM: 'xterm', LC_ALL: 'C.UTF-8' },
  });
}

/** Names of this machine and run are nobody's business. */
function clean(text: string): string {
  let cleaned = text.replaceAll(registry.host, registry.host.replace('127.0.0.1', 'r.example'));
  for (const { daemon } of [lab, networked])
    cleaned = cleaned
      .replaceAll(daemon.socket, '/run/hawser/hawserd.sock')
      .replaceAll(daemon.dir, '/srv')
      .replaceAll(daemon.namespace, 'default');
  return cleaned
    .replaceAll(`${top}bin/`, '')
    .replace(/[ \t]+$/gm, '')
    .trimEnd();
}

function screen(): string {
  return clean(tmux('capture-pane', '-p', '-J', '-t', session));
}

/** Types and waits for what is to show. */
async function type(text: string, shows: RegExp): Promise<void> {
  tmux('send-keys', '-t', session, '-l', text);
  tmux('send-keys', '-t', session, 'Enter');
  await showing(shows);
}

async function keys(names: string[], shows: RegExp): Promise<void> {
  for (const name of names) tmux('send-keys', '-t', session, name);
  await showing(shows);
}

async function showing(pattern: RegExp): Promise<void> {
  for (const deadline = Date.now() + BOUND_MS; Date.now() < deadline; await delay(50))
    if (pattern.test(screen())) return;
  throw new Error(`waited in vain for ${String(pattern)}; the screen shows:\n${screen()}`);
}

/** A shell in a terminal of its own. */
function open(name: string, { env, daemon }: Lab, prefix: readonly string[] = [], more: object = {}): void {
  const variables = { ...env, PATH: `${top}bin:${env.PATH!}`, R: BOX, PS1: PROMPT, LC_ALL: 'C.UTF-8', ...more };
  tmux(
    'new-session',
    '-d',
    '-s',
    name,
    '-x',
    String(COLUMNS),
    '-y',
    String(ROWS),
    '-c',
    daemon.dir,
    ...prefix,
    'env',
    '-i',
    ...Object.entries(variables).map(([variable, value]) => `${variable}=${value}`),
    'bash',
    '--norc',
    '--noprofile',
  );
}

const sections: string[] = [];

/** A new screen, on which something is done, and which is kept. */
async function scene(title: string, about: string, play: () => Promise<void>): Promise<void> {
  tmux('send-keys', '-t', session, 'C-l');
  tmux('clear-history', '-t', session);
  await showing(/^\$$/);
  await play();
  sections.push(`## ${title}\n\n${about}\n\n\`\`\`text\n${screen()}\n\`\`\`\n`);
}

const DONE = /\n\$$/;

try {
  // Of a length that leaves columns as they are.
  execFileSync('cp', ['-a', lab.rootfs, BOX]);
  for (const applet of ['httpd', 'wget']) symlinkSync('busybox', join(BOX, 'bin', applet));
  execFileSync('sh', ['-c', `cp ${await lab.image()} ${lab.daemon.dir}/box.tar`]);
  open(SESSION, lab);
  open(NETWORKED, networked, host.prefix);
  await showing(/\$$/);
  tmux('send-keys', '-t', session, 'source <(hawser completion bash)', 'Enter');

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
    tmux('send-keys', '-t', session, 'clear; hawser stats', 'Enter');
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
  const layer = execFileSync('tar', ['-C', BOX, '-cf', '-', '.'], { maxBuffer: 64 << 20 });
  registry.putImage('box', 'latest', [layer], { config: { Env: ['PATH=/bin'], Cmd: ['echo', 'from a registry'] } });
  let goOn = (): void => undefined;
  const half = new Promise<void>((resolve) => (goOn = resolve));
  let asked = 0;
  // The line breaks off in the middle, and is silent then.
  registry.fault = ({ path }) => {
    if (!path.includes('/blobs/') || registry.blobs.get(path.slice(path.lastIndexOf('/') + 1)) !== layer)
      return undefined;
    return asked++ === 0 ? { cutAfter: Math.floor(layer.length / 2) } : { until: half };
  };
  await scene('pull, halfway', 'From a registry whose line has just broken off.', () =>
    type(`hawser pull ${registry.host}/box`, /\[=+>? *\] /),
  );
  goOn();
  await showing(DONE);
  await scene('pull, done', 'It went on where it was.', async () => {
    await type(`hawser run --rm ${registry.host}/box`, /from a registry\n\$$/);
    await type('hawser images', DONE);
  });
  await scene('A volume', 'It is made by its first use, and outlives its containers.', async () => {
    await type("hawser run --rm -v data:/data --rootfs $R sh -c 'echo kept >/data/file'", DONE);
    await type('hawser volume ls', /data\n\$$/);
    await type('hawser run --rm -v data:/data --rootfs $R cat /data/file', /\nkept\n\$$/);
    await type('hawser volume rm data', /\ndata\n\$$/);
  });
  await scene(
    'Restart after a crash',
    'The daemon starts it again, within ten seconds; who stops it by `stop`, `kill` or `rm` means it.',
    async () => {
      await type(
        "hawser run -d --name service --restart always --rootfs $R sh -c 'echo begins; exec sleep 1000'",
        /\nservice\n\$$/,
      );
      await type("kill -9 $(hawser inspect -f '{{.State.Pid}}' service)", DONE);
      await type('hawser wait service', /\n137\n\$$/);
      await type('until hawser logs service | grep -c begins | grep 2; do sleep 1; done', /\n2\n\$$/);
      await type("hawser ps --format '{{.Names}}: {{.Status}}'", /service: Up .*\n/);
      await type('hawser rm -f service', /\nservice\n\$$/);
    },
  );
  session = NETWORKED;
  await scene('run -p', 'A web server; its port is published, and a request is answered.', async () => {
    await type(
      "hawser run -d --name web -p 8080:80 --rootfs $R sh -c 'echo hello from a container >/tmp/index.html; exec httpd -f -h /tmp'",
      /\nweb\n\$$/,
    );
    await type('curl --retry 9 --retry-connrefused http://localhost:8080/', /\nhello from a container\n\$$/);
    await type('hawser port web', /8080\n\$$/);
    await type('hawser ps', DONE);
  });
  await scene('Containers find each other', 'By name, in the networks that they share.', async () => {
    await type('hawser run --rm --rootfs $R wget -q -O - http://web/', /\nhello from a container\n\$$/);
    await type('hawser network ls', /bridge.*\n(.*\n)*\$$/);
    await type('hawser rm -f web', /\nweb\n\$$/);
  });
  await dockerd.start();
  await importComposeImage(dockerd);
  copyFileSync(COMPOSE_FILE, join(networked.daemon.dir, 'compose.yaml'));
  open(DOCKER, networked, host.prefix, {
    PATH: `${compose.dir}:${top}bin:${networked.env.PATH!}`,
    DOCKER_HOST: `unix://${dockerd.socket}`,
  });
  session = DOCKER;
  await showing(/\$$/);
  await scene(
    'docker-compose on dockerd on hawserd',
    'Both are unmodified clients, of a dockerd whose containers hawserd runs: [three services](../../test/support/compose.yaml) with checks of health, networks, a volume and a scale.',
    async () => {
      await type('docker-compose up -d', DONE);
      await type("docker-compose ps --format 'table {{.Name}}\\t{{.Status}}\\t{{.Ports}}'", /shop-web-3 .*\n\$$/);
      await type('docker-compose exec db cat /data/lives', DONE);
    },
  );
  await scene(
    'docker-compose: names, scale, down',
    "Names are docker's own server's; dockerd's containers are those of a namespace of hawserd's, and nothing is left of them.",
    async () => {
      await type("docker-compose exec api nslookup -type=a web | grep '^Address: '", /(Address: .*\n){3}\$$/);
      await type('docker-compose scale web=1', DONE);
      await type('docker-compose logs api web', DONE);
      await type("hawser -n moby ps --format '{{.ID}} {{.Status}} {{.Command}}'", DONE);
      await type('docker-compose down -v', DONE);
      await type('hawser -n moby ps -aq', DONE);
    },
  );
  session = SESSION;
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
      tmux('send-keys', '-t', session, '-l', 'hawser ru');
      await keys(['Tab', 'Tab', 'Tab'], /run +runtimes/);
      tmux('send-keys', '-t', session, '-l', ' --cpu');
      await keys(['Tab', 'Tab'], /--cpu-shares +--cpus/);
      tmux('send-keys', '-t', session, 'C-u');
      tmux('send-keys', '-t', session, '-l', 'hawser stop dat');
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
    await dockerd.cleanUp();
    await lab.close();
    await networked.close();
    host.close();
    await registry.stop();
    rmSync(BOX, { recursive: true, force: true });
  }
}
