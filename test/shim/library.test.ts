/**
 * The shim's program finds its library and its Node from wherever it lies: containerd's own tests copy it alone to a
 * directory and have containers run by that path.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { runtimePath } from '../support/runtime.js';
import { eventually } from '../support/eventually.js';
import { Containerd, top } from '../support/daemons.js';
import { allProcesses, isAlive, isIdleZygote, zygotesIn } from '../support/machine.js';
import { isForked } from '../support/debug.js';
import { hawserOnly, SHIM, shimTest, type Lab, type Shim } from '../support/shim.js';

const options: { skip: string | false } = { skip: hawserOnly };
const NAME = 'containerd-shim-runc-v2';
const DIST = join(top, 'dist');
/** As packages have it. */
const WITHOUT_PLACE = join(top, 'npm', NAME);

function copy(from: string, to: string): string {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  return to;
}

/** What `make install` installs, but for the link to Node. */
function copyLibrary(to: string): void {
  const isPart = (name: string): boolean =>
    /^((shim|hawser|find-node|node-version|lmdb)[-_.][-_.a-z]*|hawserd\.mjs)$/.test(name);
  cpSync(DIST, to, { recursive: true, filter: (file) => file === DIST || isPart(relative(DIST, file).split('/')[0]!) });
}

/** A program that was installed to another place. */
function installed(lab: Lab, library: string): string {
  const bin = join(lab.dir, 'made');
  mkdirSync(bin);
  const { status, stderr } = spawnSync(
    'node',
    ['--import', 'tsx', join(top, 'src/build/programs.ts'), library, bin, WITHOUT_PLACE],
    { cwd: top, encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  return join(bin, NAME);
}

async function libraryOf(lab: Lab, binary: string, cwd?: string): Promise<string | undefined> {
  const { stdout, stderr } = await lab.run(['-v'], { binary, ...(cwd === undefined ? {} : { cwd }) });
  assert.equal(stderr, '');
  return /\n {2}Library: (.+)\n/.exec(stdout.toString())?.[1];
}

async function refusal(lab: Lab, binary: string): Promise<string> {
  lab.bundle('c');
  const { status, stdout, stderr } = await lab.startAction('c', { binary });
  assert.deepEqual([status, stdout.toString(), existsSync(join(lab.bundlePath('c'), 'address'))], [1, '', false]);
  return stderr;
}

shimTest(
  'a copy of the program alone serves a container, and leaves a zygote',
  async (lab) => {
    const binary = copy(SHIM, join(lab.dir, 'alone/shim copy'));
    assert.equal(await libraryOf(lab, binary), DIST);
    lab.bundle('c', ['/bin/sh', '-c', 'exit 7']);
    const env = { HAWSER_ZYGOTE: '600' };
    const shim = await lab.shim('c', { binary, env });
    const task = await shim.create('c', { stdio: lab.stdio('c') });
    await task.start();
    assert.equal((await task.wait()).exitStatus, 7);
    await task.delete();
    await shim.shutdown();
    const zygote = await eventually('a zygote', () => zygotesIn(lab.runDir)[0]);
    // What it runs from is the library, so it serves when the copy has gone, and the next copy gets it.
    rmSync(dirname(binary), { recursive: true });
    const next = await lab.shim('c', { binary: copy(SHIM, binary), env });
    assert.ok(await isForked(next));
    assert.equal(isAlive(zygote), true);
    assert.deepEqual((await lab.deleteAction('c', { binary })).status, 0);
  },
  options,
);

/** A shim of a library in which a zygote rehearses with this script, which has the name of the command in $command and a file's in $pid_file. */
async function rehearsingWith(lab: Lab, script: string): Promise<{ told: () => string[]; shim: Shim; binary: string }> {
  const library = join(lab.dir, 'lib/hawser');
  copyLibrary(library);
  symlinkSync(process.execPath, join(library, 'node'));
  const binary = copy(WITHOUT_PLACE, join(library, 'bin', NAME));
  const told = join(lab.dir, 'told');
  writeFileSync(told, '');
  rmSync(join(library, 'hawser-stand-in'));
  writeFileSync(
    join(library, 'hawser-stand-in'),
    `#!/bin/sh
    for word; do
      [ "$last" != --pid-file ] || pid_file=$word
      case $word in create|exec|start|delete) command=\${command:-$word};; esac
      last=$word
    done
    echo "$command" >>'${told}'
    ${script}`,
    { mode: 0o755 },
  );
  lab.bundle('c');
  const shim = await lab.shim('c', { binary, env: { HAWSER_ZYGOTE: '600' } });
  return { told: () => readFileSync(told, 'utf8').split('\n').filter(Boolean), shim, binary };
}

shimTest(
  'a zygote whose library goes while it still rehearses does not stay',
  async (lab) => {
    // What it rehearses with takes the library away: by then it has loaded what it needs.
    const { told, shim } = await rehearsingWith(lab, `rm -f "$(dirname "$0")/shim.bundle.js"\nexit 1\n`);
    await eventually('a zygote to rehearse', () => told().length > 0);
    await eventually('it to end', () => zygotesIn(lab.runDir).length === 0);
    await shim.shutdown();
  },
  options,
);

shimTest(
  'a zygote to which somebody comes all the time finds out that its library was replaced',
  async (lab) => {
    const library = join(lab.dir, 'lib/hawser');
    copyLibrary(library);
    symlinkSync(process.execPath, join(library, 'node'));
    lab.bundle('c');
    const shim = await lab.shim('c', {
      binary: copy(WITHOUT_PLACE, join(library, 'bin', NAME)),
      env: { HAWSER_ZYGOTE: '600' },
    });
    const zygote = await eventually('a zygote waits', () => zygotesIn(lab.runDir).find(isIdleZygote));
    const socket = readdirSync(lab.runDir).find((name) => /^zygote-\w+$/.test(name))!;
    const comes = setInterval(() => {
      const peer = connect(join(lab.runDir, socket), () => peer.destroy());
      // It may have gone.
      peer.on('error', () => undefined);
    }, 300);
    lab.defer(() => clearInterval(comes));
    const bundle = join(library, 'shim.bundle.js');
    copyFileSync(bundle, `${bundle}.new`);
    renameSync(`${bundle}.new`, bundle);
    await eventually('it leaves', () => !isAlive(zygote), 60_000);
    await shim.shutdown();
  },
  { ...options, timeout: 120_000 },
);

shimTest(
  'a rehearsal goes on when nothing happens in it for longer than a shim is awake',
  async (lab) => {
    const { told, shim } = await rehearsingWith(
      lab,
      `seconds=7; [ $command = exec ] || seconds=10
      case $command in create|exec) sleep $seconds </dev/null >/dev/null 2>&1 & printf %s $! >"$pid_file";; esac`,
    );
    // All that is under way until then is a Wait.
    await eventually('the exec has ended', () => told().includes('start'));
    assert.equal(zygotesIn(lab.runDir).length, 1);
    await shim.shutdown();
  },
  options,
);

shimTest(
  'a zygote ends when the monitor of its rehearsal is killed, and the next start has another',
  async (lab) => {
    const { told, shim, binary } = await rehearsingWith(lab, 'exec sleep 1000');
    await eventually('it rehearses', () => told().includes('create'));
    const [zygote] = zygotesIn(lab.runDir);
    const monitor = allProcesses().find(
      ({ command, ppid }) => command.startsWith('hawser-zygote rehearsal') && ppid === zygote,
    );
    assert.ok(monitor, 'there is a monitor');
    process.kill(monitor.pid, 'SIGKILL');
    await eventually('it has ended', () => !isAlive(zygote!));
    lab.bundle('d');
    const next = await lab.shim('d', { binary, env: { HAWSER_ZYGOTE: '600' } });
    await eventually('there is another', () => zygotesIn(lab.runDir).some((pid) => pid !== zygote));
    await next.shutdown();
    await shim.shutdown();
  },
  options,
);

shimTest(
  'links of every kind find the library',
  async (lab) => {
    const elsewhere = join(lab.dir, 'a/b');
    mkdirSync(elsewhere, { recursive: true });
    symlinkSync(SHIM, join(elsewhere, 'absolute'));
    symlinkSync('absolute', join(elsewhere, 'relative'));
    linkSync(copy(SHIM, join(lab.dir, 'copy')), join(elsewhere, 'hard'));
    for (const name of ['absolute', 'relative', 'hard'])
      assert.equal(await libraryOf(lab, join(elsewhere, name)), DIST, name);
    assert.equal(await libraryOf(lab, './hard', elsewhere), DIST);
  },
  options,
);

shimTest(
  'what lies near a program comes before the place that was built in',
  async (lab) => {
    for (const [library, bin] of [
      ['lib/hawser', 'bin'],
      ['two/dist', 'two/bin'],
      ['other/three', 'other/three'],
      ['four/hawser', 'four/hawser/bin'],
    ] as const) {
      copyLibrary(join(lab.dir, library));
      symlinkSync(process.execPath, join(lab.dir, library, 'node'));
      assert.equal(await libraryOf(lab, copy(SHIM, join(lab.dir, bin, NAME))), join(lab.dir, library));
    }
  },
  options,
);

shimTest(
  'a program that was installed says where it looked when its library has gone',
  async (lab) => {
    const library = join(lab.dir, "usr lib/it's gone");
    const binary = installed(lab, library);
    assert.match(
      await refusal(lab, binary),
      new RegExp(
        `^io\\.containerd\\.runc\\.v2: the shim's library \\(shim\\.cjs\\) is neither in ${dirname(binary)} nor in \\.\\., \\.\\./lib/hawser or \\.\\./dist from there, nor in ${library}, where it was when this program was built or installed: build or install it again$`,
      ),
    );
    mkdirSync(dirname(library), { recursive: true });
    symlinkSync(DIST, library);
    assert.equal(await libraryOf(lab, binary), DIST);
  },
  options,
);

shimTest(
  "a copy of a package's program says that it knows no other place",
  async (lab) => {
    assert.match(
      await refusal(lab, copy(WITHOUT_PLACE, join(lab.dir, 'x/shim'))),
      /and this program was not told another place: run the one that was installed, by its path or a link, not a copy of it$/,
    );
  },
  options,
);

shimTest(
  "a copy loads no library of somebody else's, and none that anybody may write to",
  async (lab) => {
    const neighbour = join(lab.dir, 'lib/hawser');
    mkdirSync(neighbour, { recursive: true });
    symlinkSync(process.execPath, join(neighbour, 'node'));
    writeFileSync(join(neighbour, 'shim.cjs'), 'console.log("loaded")');
    const binary = copy(WITHOUT_PLACE, join(lab.dir, 'bin', NAME));
    const loaded = async (): Promise<boolean> => (await lab.run(['-v'], { binary })).stdout.toString() === 'loaded\n';
    assert.ok(await loaded());
    chownSync(neighbour, 1234, 1234);
    assert.match(
      await refusal(lab, binary),
      new RegExp(`; what is in ${neighbour} is not loaded, as it belongs to user 1234$`),
    );
    assert.equal(await libraryOf(lab, copy(SHIM, join(lab.dir, 'bin/other'))), DIST);
    // Who owns the program, or its directory, could replace it anyway.
    chownSync(binary, 1234, 1234);
    assert.ok(await loaded());
    chownSync(binary, 0, 0);
    chownSync(dirname(binary), 1234, 1234);
    assert.ok(await loaded());
    chownSync(neighbour, 0, 0);
    chmodSync(neighbour, 0o777);
    assert.match(
      await refusal(lab, binary),
      new RegExp(`; what is in ${neighbour} is not loaded, as anybody may write there$`),
    );
    // A file system without modes shows all files so.
    chmodSync(binary, 0o777);
    assert.ok(await loaded());
  },
  options,
);

/** A package as npm leaves it: without links, and its programs linked from the prefix's bin, if it is a global one. */
function packaged(lab: Lab, { isGlobal }: { isGlobal: boolean }): string {
  const home = join(lab.dir, 'lib/node_modules/hawser');
  mkdirSync(join(lab.dir, 'bin'), { recursive: true });
  copyLibrary(join(home, 'dist'));
  for (const name of [NAME, 'hawser', 'hawserd']) {
    copy(join(top, 'npm', name), join(home, 'npm', name));
    if (isGlobal) symlinkSync(join('../lib/node_modules/hawser/npm', name), join(lab.dir, 'bin', name));
  }
  return join(home, 'npm');
}

/** A PATH in which there is nothing but what the programs' scripts need, and this, if it is given, for a Node. */
function pathWith(lab: Lab, node?: string): string {
  const dir = join(lab.dir, 'path');
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir);
  for (const tool of ['readlink', 'env', 'sed'])
    symlinkSync(spawnSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).stdout.trim(), join(dir, tool));
  if (node !== undefined) symlinkSync(node, join(dir, 'node'));
  return dir;
}

shimTest(
  'a shim whose program goes while it sleeps: its container lives on, it wakes when there is a program again, and a signal ends it',
  async (lab) => {
    const binary = join(packaged(lab, { isGlobal: true }), NAME);
    const library = join(dirname(dirname(binary)), 'dist');
    symlinkSync(process.execPath, join(library, 'node'));
    lab.bundle('c', ['/bin/sleep', '1000']);
    const shim = await lab.shim('c', { binary, env: { HAWSER_SLEEP: '0.3' } });
    const task = await shim.create('c', { stdout: '', stderr: '' });
    await task.start();
    const asleep = (): Promise<unknown> => eventually('it sleeps', () => shim.awake === undefined);
    await asleep();
    renameSync(library, `${library}.gone`);
    const asked = task.state();
    assert.ok(isAlive(task.pid) && isAlive(shim.pid));
    renameSync(`${library}.gone`, library);
    assert.equal((await asked).pid, task.pid);

    await asleep();
    renameSync(library, `${library}.gone`);
    process.kill(shim.pid, 'SIGTERM');
    await shim.gone();
    assert.ok(isAlive(task.pid), 'which is for the daemon to end');
    process.kill(task.pid, 'SIGKILL');
  },
  options,
);

shimTest(
  'without a link to Node, that of the prefix or of PATH runs the shim; without any, the start says so',
  async (lab) => {
    const binary = join(packaged(lab, { isGlobal: true }), NAME);
    const runtimes = runtimePath(lab.dir);
    const bare = pathWith(lab);
    const library = join(dirname(dirname(binary)), 'dist');
    lab.bundle('c');
    const { status, stdout, stderr } = await lab.startAction('c', { binary, env: { PATH: bare } });
    assert.deepEqual([status, stdout.toString(), existsSync(join(lab.bundlePath('c'), 'address'))], [1, '', false]);
    assert.equal(
      stderr,
      `io.containerd.runc.v2: there is no Node to run the shim: ${library}/node leads to none, and PATH (${bare}) has none; install Node 20 or later, or make ${library}/node a link to it`,
    );

    for (const path of [`${pathWith(lab, process.execPath)}:${runtimes}`, 'prefix', 'link']) {
      if (path === 'prefix') symlinkSync(process.execPath, join(lab.dir, 'bin/node'));
      if (path === 'link') {
        unlinkSync(join(lab.dir, 'bin/node'));
        symlinkSync(process.execPath, join(library, 'node'));
      }
      const env = { PATH: path.includes('/') ? path : pathWith(lab) };
      const shim = await lab.shim('c', { binary, env });
      assert.equal((await lab.run(['-v'], { binary, env })).status, 0);
      assert.ok(readFileSync(`/proc/${shim.worker}/maps`, 'latin1').includes(`${library}/hawser_sys.node`), path);
      await shim.shutdown();
    }
  },
  options,
);

shimTest(
  'in a package for its platform: scripts find it, the shim finds the Node of the prefix, and what is missing is named',
  async (lab) => {
    const home = join(lab.dir, 'lib/node_modules/hawser');
    const platform = join(home, `node_modules/@hawser/linux-${process.arch}`);
    copyLibrary(platform);
    const binary = copy(join(top, 'npm', NAME), join(platform, 'bin', NAME));
    copy(join(top, 'src/build/packaging/find-platform.sh'), join(home, 'dist/find-platform.sh'));
    mkdirSync(join(lab.dir, 'bin'));
    symlinkSync(process.execPath, join(lab.dir, 'bin/node'));
    const env = { PATH: pathWith(lab) };
    assert.match(
      (await lab.run(['-v'], { binary, env })).stderr,
      /there is no Node to run the shim/,
      'no link is there',
    );
    for (const name of ['hawser', 'hawserd']) {
      copy(join(top, 'npm', name), join(home, 'npm', name));
      symlinkSync(join('../lib/node_modules/hawser/npm', name), join(lab.dir, 'bin', name));
    }
    assert.match((await lab.run(['-v'], { binary, env })).stdout.toString(), new RegExp(`Library: ${platform}\n`));
    const run = (name: string) => spawnSync(join(lab.dir, 'bin', name), ['--help'], { env, encoding: 'utf8' });
    for (const name of ['hawser', 'hawserd']) assert.equal(run(name).status, 0, run(name).stderr);

    symlinkSync(
      spawnSync('sh', ['-c', 'command -v uname'], { encoding: 'utf8' }).stdout.trim(),
      join(env.PATH, 'uname'),
    );
    // Around the package is as good a place; another platform's is none.
    renameSync(join(home, 'node_modules'), join(lab.dir, 'lib/elsewhere'));
    renameSync(join(lab.dir, 'lib/elsewhere/@hawser'), join(lab.dir, 'lib/node_modules/@hawser'));
    mkdirSync(join(lab.dir, 'lib/node_modules/@hawser/linux-other'));
    for (const file of ['hawser.cjs', 'hawserd.mjs'])
      writeFileSync(
        join(lab.dir, 'lib/node_modules/@hawser/linux-other', file),
        'throw new Error("of another platform");',
      );
    for (const name of ['hawser', 'hawserd']) assert.equal(run(name).status, 0, run(name).stderr);
    renameSync(join(lab.dir, 'lib/node_modules/@hawser'), join(lab.dir, 'lib/gone'));
    for (const [name, status] of [
      ['hawser', 125],
      ['hawserd', 1],
    ] as const) {
      const { status: found, stderr } = run(name);
      assert.equal(found, status);
      assert.ok(
        stderr.startsWith(
          `${name}: the package @hawser/linux-${process.arch} is not installed, which has what it runs on this platform (linux, ${process.arch}, glibc). npm leaves it out`,
        ),
        stderr,
      );
    }
  },
  options,
);

shimTest(
  "a directory that is called like npm's is no prefix",
  async (lab) => {
    const binary = join(packaged(lab, { isGlobal: false }), NAME);
    writeFileSync(join(lab.dir, 'bin/node'), '#!/bin/sh\necho somebody else\n', { mode: 0o755 });
    const { status, stdout } = await lab.run(['-v'], { binary, env: { PATH: pathWith(lab) } });
    assert.deepEqual([status, stdout.toString()], [1, '']);
  },
  options,
);

shimTest(
  'a Node that is too old, or none, is told of by each program',
  (lab) => {
    const programs = packaged(lab, { isGlobal: false });
    const library = join(dirname(programs), 'dist');
    // Takes what every Node takes, and says that it is another version.
    const old = join(lab.dir, 'old-node');
    writeFileSync(
      join(lab.dir, 'pretend.cjs'),
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.4' } });",
    );
    writeFileSync(old, `#!/bin/sh\nexec ${process.execPath} --require ${lab.dir}/pretend.cjs "$@"\n`, { mode: 0o755 });
    for (const [name, failure] of [
      [NAME, 1],
      ['hawserd', 1],
      ['hawser', 125],
    ] as const) {
      const run = (node?: string): { status: number | null; stderr: string } =>
        // hawser's script knows its version by itself.
        spawnSync(join(programs, name), [name === 'hawser' ? '--help' : '--version'], {
          env: { PATH: pathWith(lab, node) },
          encoding: 'utf8',
        });
      const without = run();
      assert.equal(without.status, failure, without.stderr);
      assert.match(
        without.stderr,
        /there is no Node to run (it|the shim): .*\/dist\/node leads to none, and PATH \(.*\) has none; install Node 20 or later, or make .*\/dist\/node a link to it\n?$/,
      );
      const with18 = run(old);
      assert.equal(with18.status, failure, with18.stderr);
      assert.equal(
        with18.stderr,
        `hawser: ${process.execPath} is Node 18.20.4, which is too old: install Node 20 or later, or make ${library}/node a link to one\n`,
      );
      assert.equal(run(process.execPath).status, 0, name);
    }
    return Promise.resolve();
  },
  options,
);

shimTest(
  'a copy of each script finds its library, too',
  (lab) => {
    for (const name of ['hawser', 'hawserd']) {
      const alone = copy(join(top, 'bin', name), join(lab.dir, 'alone', name));
      const { status, stderr } = spawnSync(alone, ['--version'], { encoding: 'utf8' });
      assert.deepEqual([status, stderr], [0, '']);
      const lost = spawnSync(copy(join(top, 'npm', name), join(lab.dir, 'lost', name)), ['--version'], {
        encoding: 'utf8',
      });
      assert.equal(lost.status, name === 'hawser' ? 125 : 1);
      assert.match(
        lost.stderr,
        /\.[cm]js is neither in .* nor in .*: run 'make build' or 'make install', or link to this program instead of copying it\n$/,
      );
    }
    return Promise.resolve();
  },
  options,
);

shimTest(
  'containerd runs a copy by its absolute path',
  async (lab) => {
    const binary = copy(SHIM, join(lab.dir, 'TestContainerStart/001', NAME));
    const containerd = await new Containerd(join(top, 'bin')).start();
    try {
      assert.equal(
        (await containerd.run('copied', ['/bin/echo', 'it works'], { flags: ['--runtime', binary] })).stdout,
        'it works',
      );
    } finally {
      await containerd.cleanUp();
    }
  },
  options,
);
