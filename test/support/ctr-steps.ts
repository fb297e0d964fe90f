/** Every command of ctr that makes sense without a registry, in an order in which each finds what it needs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import type { Containerd } from './daemons.js';
import { eventually } from './eventually.js';
import { Terminal } from './terminal.js';

export const IMAGE = 'example.org/busy:latest';

/** One of the two daemons, and what both of them work on. */
export interface World {
  daemon: Containerd;
  /** The archive of the image, and the digests of what is in it. */
  archive: string;
  layer: string;
  config: string;
}

export interface Outcome {
  exitCode: number | undefined;
  stdout: string;
  stderr: string;
}

export interface Step {
  /** The command line after `ctr`; `$name` stands for what variables() has. Rows are known by it. */
  command: string;
  input?: string;
  /** The first number of the versions of ctr that have the command; both, unless given. */
  only?: 1 | 2;
  /** Numbers in the output differ from run to run. */
  numbers?: true;
  /** So do digests. */
  digests?: true;
  /** Lines come in no order. */
  unordered?: true;
  /** What must be so before it. */
  before?: (world: World) => Promise<unknown>;
  /** Instead of running it to its end. */
  play?: (world: World, args: string[]) => Promise<Outcome>;
}

export function variables({ daemon, archive, layer, config }: World): Record<string, string> {
  return {
    DIR: daemon.dir,
    ROOTFS: daemon.rootfs,
    IMAGE,
    ARCHIVE: archive,
    RUBBISH: `${archive}.rubbish`,
    LAYER: layer,
    CONFIG: config,
    NAMESPACE: daemon.namespace,
  };
}

/** A task has this status; undefined when it is to be gone. */
const is =
  (id: string, status: string | undefined) =>
  ({ daemon }: World): Promise<unknown> =>
    eventually(`${id} is ${status}`, async () => {
      const { stdout } = await daemon.ctr(['tasks', 'ls'], { reject: false });
      return (
        stdout
          .split('\n')
          .map((line) => line.split(/\s+/))
          .find(([name]) => name === id)?.[2] === status
      );
    });

/** Types into the program at a terminal, each text when what comes before it shows. */
const typing =
  (...talk: (readonly [RegExp, string])[]) =>
  async ({ daemon }: World, args: string[]): Promise<Outcome> => {
    const terminal = new Terminal(...daemon.command(args));
    try {
      for (const [pattern, text] of talk) {
        await terminal.shows(pattern);
        terminal.type(text);
      }
      return {
        exitCode: await terminal.ends(),
        stdout: terminal.screen
          .replaceAll('\r', '')
          .split(/exit \d\n/)
          .at(-1)!,
        stderr: '',
      };
    } finally {
      terminal.kill();
    }
  };

/** What is heard while a container comes and goes; `last` is how the last of its events begins. */
const listening =
  (last: (id: string) => string) =>
  async ({ daemon }: World, args: string[]): Promise<Outcome> => {
    const id = `heard${args.length}`;
    const hearing = spawn(...daemon.command(args), { stdio: ['ignore', 'pipe', 'inherit'] });
    let heard = '';
    hearing.stdout.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
    });
    // It says nothing when it begins to listen.
    await eventually('it listens', async () => {
      await daemon.ctr(['run', '--rm', '--rootfs', daemon.rootfs, `try${id}`, '/bin/true']);
      return heard.includes(last(`try${id}`));
    });
    heard = '';
    await daemon.ctr(['run', '--rm', IMAGE, id, '/bin/true']);
    await eventually(`the last event: ${heard}`, () => heard.includes(last(id)));
    hearing.kill('SIGKILL');
    return {
      exitCode: 0,
      stdout: heard
        .split('\n')
        .filter((line) => !line.includes('tryheard'))
        .join('\n'),
      stderr: '',
    };
  };

/**
 * ctr 2.x ends before the archive is written when its machine is slow, and says nothing: what follows needs a whole one. From
 * hawserd it has to be whole at once.
 */
const exportedWhole = async ({ daemon }: World, args: string[]): Promise<Outcome> => {
  const isWhole = async (): Promise<boolean> =>
    (await execa('tar', ['-tf', join(daemon.dir, 'out.tar')], { reject: false })).exitCode === 0;
  for (;;) {
    const { exitCode, stdout, stderr } = await daemon.ctr(args, { reject: false });
    const outcome = { exitCode, stdout, stderr };
    if (exitCode !== 0 || basename(daemon.daemonPath) === 'hawserd' || (await isWhole())) return outcome;
  }
};

/** Only how it ended, and what its output has of this. */
const only =
  (pattern: RegExp) =>
  async ({ daemon }: World, args: string[]): Promise<Outcome> => {
    const { exitCode, stdout = '', stderr } = await daemon.ctr(args, { reject: false });
    return {
      exitCode,
      stdout: stdout
        .split('\n')
        .filter((line) => pattern.test(line))
        .join('\n'),
      stderr,
    };
  };

/** The files of a layer. */
const listed = async ({ daemon }: World, args: string[]): Promise<Outcome> => {
  const [program, all] = daemon.command(args);
  const { exitCode, stdout } = await execa('sh', ['-c', `"$0" "$@" | tar -tzf -`, program, ...all], {
    reject: false,
    stdin: 'ignore',
  });
  return { exitCode, stdout, stderr: '' };
};

/** Ctrl-C, as from a terminal, when the container's words have come. */
const interrupted =
  (word: string) =>
  async ({ daemon }: World, args: string[]): Promise<Outcome> => {
    const running = spawn(...daemon.command(args), { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(running, 'exit');
    let shown = '';
    running.stdout.on('data', (chunk: Buffer) => {
      shown += chunk.toString();
    });
    await eventually(`${word} to show`, () => shown.includes(word));
    running.kill('SIGINT');
    const [exitCode] = (await ended) as [number | null];
    return { exitCode: exitCode ?? undefined, stdout: word, stderr: '' };
  };

const ECHO_ZERO = 'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';
const NONE = `sha256:${'0'.repeat(64)}`;
const step = (command: string, more: Omit<Step, 'command'> = {}): Step => ({ command, ...more });

const daemonSteps: Step[] = [
  step('version'),
  step('plugins ls'),
  step('plugins ls id==overlayfs'),
  step('plugins ls -d id==overlayfs'),
  step('plugins ls -q id==nobody'),
  step('plugins inspect-runtime --runtime io.containerd.runc.v2', { only: 2 }),
  step('plugins inspect-runtime --runtime io.containerd.nothing.v1', { only: 2 }),
  step('info', { only: 2, numbers: true }),
  step('deprecations ls', { only: 2 }),
  step('sandboxes ls', { only: 2 }),
  step('pprof -d $DIR/debug.sock goroutines'),
  step('oci spec'),
];

const namespaces: Step[] = [
  step('namespaces ls'),
  step('namespaces create crew a=b'),
  step('namespaces create crew'),
  step('namespaces create bad/name'),
  step('namespaces create', {}),
  step('namespaces label crew c=d a='),
  step('namespaces label nobody c=d'),
  step('namespaces ls -q'),
  step('namespaces ls'),
  step('-n crew namespaces rm crew'),
  step('namespaces rm crew'),
  step('-n bad/name containers ls'),
];

const leases: Step[] = [
  step('leases create --id l1 a=b'),
  step('leases create --id l1'),
  step('leases create --id l2 --expires 1h'),
  step('leases create --id bad/id'),
  step('leases ls'),
  step('leases ls -q'),
  step('leases ls -q id==l1'),
  step('leases ls -q labels.a==b'),
  step('leases ls id~~x'),
  step('leases rm l1'),
  step('leases rm --sync l2'),
  step('leases rm nobody'),
];

const images: Step[] = [
  step('images import $ARCHIVE', { play: only(/saved|unpacking example/) }),
  step('images import $RUBBISH'),
  step('images import $DIR/none.tar'),
  step('images ls'),
  step('images ls -q'),
  step('images ls -q name==nothing'),
  step('images ls name~=('),
  step('images check'),
  step('images check -q'),
  step('images label $IMAGE a=b'),
  step('images label nobody a=b'),
  step('images tag $IMAGE example.org/other:1'),
  step('images tag $IMAGE example.org/other:1'),
  step('images tag --force $IMAGE example.org/other:1'),
  step('images tag nobody example.org/x:1'),
  step('images inspect $IMAGE', { only: 2 }),
  step('images usage $IMAGE', { only: 2 }),
  step('images export $DIR/out.tar $IMAGE', { play: exportedWhole }),
  step('images export $DIR/none.tar nobody'),
  step('images rm example.org/other:1'),
  step('images rm nobody'),
  step('images import --base-name example.org/again $DIR/out.tar', { play: only(/saved/) }),
  step('images import --no-unpack $DIR/out.tar', { play: only(/saved/) }),
  step('images ls'),
  step('images convert --uncompress --oci $IMAGE example.org/oci:1'),
  step('images unpack $IMAGE', { only: 1 }),
  step('images mount $IMAGE $DIR/mnt'),
  step('images unmount --rm $DIR/mnt'),
  step('images pull --plain-http 127.0.0.1:1/a/b:c'),
  step('images push --plain-http 127.0.0.1:1/a/b:c $IMAGE', { digests: true, play: only(/nothing/) }),
];

const content: Step[] = [
  // What no image holds any more goes some time later, in either daemon: whoever waits for a collection knows when.
  step('leases create --id collected'),
  step('leases rm --sync collected'),
  step('content ls'),
  step('content ls -q'),
  step('content ls -q size==5'),
  step('content get $CONFIG'),
  step(`content get ${NONE}`),
  step('content get rubbish'),
  step('leases create --id keep'),
  step('content ingest kept', { input: 'hello' }),
  step(`content ingest --expected-digest ${NONE} wrong`, { input: 'hello' }),
  step('content ingest --expected-size 4 short', { input: 'hello' }),
  step('content active', { unordered: true }),
  step('content ingest again', { input: 'hello' }),
  step(`content label ${ECHO_ZERO} containerd.io/gc.root=x`),
  step(`content label ${NONE} a=b`),
  step(`content edit --editor true ${ECHO_ZERO}`),
  step(`content rm ${NONE}`),
  step(`content rm ${ECHO_ZERO}`),
  step('content rm rubbish'),
  step('content prune references', { only: 2 }),
];

/** Views have no lease: the next garbage collection takes them. */
const LASTING = /^(?!.*\bv[12]\b)/;
const snapshots: Step[] = [
  step('snapshots ls'),
  step('snapshots prepare k1'),
  step('snapshots prepare k1'),
  step('snapshots prepare k2 $LAYER'),
  step('snapshots prepare k3 nobody'),
  step('snapshots prepare --mounts k4 $LAYER'),
  step('snapshots view v1 $LAYER'),
  step('snapshots view --mounts v2 $LAYER'),
  step('snapshots mounts /mnt k2'),
  step('snapshots mounts /mnt nobody'),
  step('snapshots mounts /mnt $LAYER'),
  step('snapshots info k2'),
  step('snapshots info nobody'),
  step('snapshots label k2 a=b'),
  step('snapshots label nobody a=b'),
  step('snapshots ls', { unordered: true, play: only(LASTING) }),
  step('snapshots usage k2', { numbers: true }),
  step('snapshots usage -b k1', { numbers: true }),
  step('snapshots usage nobody'),
  step('snapshots commit done k2'),
  step('snapshots commit done k1'),
  step('snapshots commit x nobody'),
  step('snapshots tree', { unordered: true, play: only(LASTING) }),
  step('snapshots rm $LAYER'),
  step('snapshots diff $LAYER done', { play: listed }),
  step('snapshots diff nobody'),
  step('snapshots rm done k1 k4'),
  step('snapshots rm nobody'),
  step('snapshots --snapshotter native ls'),
  step('snapshots --snapshotter nobody ls'),
  step('snapshots ls', { unordered: true, play: only(LASTING) }),
];

const containers: Step[] = [
  step('containers create --rootfs $ROOTFS c1 /bin/sh -c true'),
  step('containers create --rootfs $ROOTFS c1 /bin/sh'),
  step('containers create $IMAGE c2 /bin/sh'),
  step('containers create --label x=y --env A=B $IMAGE c3'),
  step('containers create $IMAGE c2 /bin/sh'),
  step('containers create nobody c4 /bin/sh'),
  step('containers create --rootfs $ROOTFS bad/id /bin/sh'),
  step('containers create --rootfs $ROOTFS -- -bad /bin/sh'),
  step(`containers create --rootfs $ROOTFS ${'x'.repeat(77)} /bin/sh`),
  step('containers create --snapshotter nobody $IMAGE c5 /bin/sh'),
  step('containers ls'),
  step('containers ls -q'),
  step('containers ls -q id==c1'),
  step('containers ls -q labels.x==y'),
  step('containers ls -q id==c1 id==c3'),
  step('containers ls -q ==='),
  step('containers info c2'),
  step('containers info --spec c1'),
  step('containers info nobody'),
  step('containers label c1 one=two'),
  step('containers label c1 one='),
  step('containers label nobody a=b'),
  step('containers rm c3'),
  step('containers rm nobody'),
  step('containers rm c1 c2'),
  step('containers rm'),
];

const runs: Step[] = [
  step('run --rm --rootfs $ROOTFS r1 /bin/echo hello'),
  step('run --rm $IMAGE r2 /bin/echo hello'),
  step(`run --rm $IMAGE r3 /bin/sh -c 'echo out; echo err >&2; exit 7'`),
  step('run --rm $IMAGE r4 /no/such'),
  step('tasks ls'),
  step('run --rm nobody r5 true'),
  step('run --rm $IMAGE r6 /bin/cat', { input: 'through' }),
  step(`run --rm --env A=b --cwd /tmp --label x=y --hostname host $IMAGE r7 /bin/sh -c 'echo $A; pwd; hostname'`),
  step('run --rm --memory-limit 33554432 --cpus 0.5 $IMAGE r8 /bin/true'),
  step('run --rm --mount type=bind,src=$DIR,dst=/mnt,options=rbind:ro $IMAGE r9 /bin/ls /mnt/config.toml'),
  step('run --rm --read-only $IMAGE r10 /bin/touch /x'),
  step('run --rm --snapshotter native $IMAGE r11 /bin/echo native'),
  step('images import --snapshotter native $ARCHIVE', { play: only(/saved/) }),
  step('run --rm --snapshotter native $IMAGE r12 /bin/echo native'),
  step('run --rm --null-io $IMAGE r13 /bin/echo nothing'),
  step('run --rm --runtime io.containerd.nothing.v1 $IMAGE r14 /bin/true'),
  step('run --rm --runtime runc $IMAGE r15 /bin/true'),
  step('run --rm --runtime io.containerd.runtime.v1.linux $IMAGE r16 /bin/true'),
  step('run --rm --runc-binary /no/such $IMAGE r17 /bin/true'),
  step('run --rm --net-host $IMAGE r18 /bin/true'),
  step('run --rm --user 65534 $IMAGE r19 /bin/id -u'),
  step('run --rm bad/id r20'),
  step(`run --rm -t $IMAGE r21 /bin/sh`, { play: typing([/# /, 'tty; exit 5\r']) }),
  step('run -d --pid-file $DIR/pid --log-uri file://$DIR/out $IMAGE r22 /bin/sh -c "echo logged"'),
  step('tasks rm r22', { before: is('r22', 'STOPPED') }),
  step('containers rm r22'),
  step('run --rm --config $DIR/none.json r23'),
  step('run --rm --rootfs /no/such r24 /bin/true'),
  step('run --rm --rootfs $ROOTFS r25 /bin/sh -c "kill -9 $$"'),
  step('run --rm --cgroup /hawser-x --rootfs $ROOTFS --privileged r26 /bin/true'),
  step('run --rm --fifo-dir $DIR/fifos $IMAGE r27 /bin/echo fifos'),
];

const LOOP = `/bin/sh -c 'trap "exit 9" TERM; while :; do sleep 0.05; done'`;
const tasks: Step[] = [
  step('tasks ls'),
  step(`run -d $IMAGE t1 ${LOOP}`),
  step('run -d $IMAGE t1 /bin/true'),
  step('tasks ls', { numbers: true }),
  step('tasks ls -q', { unordered: true }),
  step('tasks ps t1', {
    numbers: true,
    play: async ({ daemon }, args) => {
      // Its sleep comes and goes.
      const { exitCode, stdout = '', stderr } = await daemon.ctr(args, { reject: false });
      return { exitCode, stdout: stdout.split('\n').slice(0, 2).join('\n'), stderr };
    },
  }),
  step('tasks ps nobody'),
  step('tasks exec --exec-id e1 t1 /bin/echo executed'),
  step(`tasks exec --exec-id e2 t1 /bin/sh -c 'exit 4'`),
  step('tasks exec --exec-id e3 t1 /no/such'),
  step('tasks exec --exec-id e4 nobody /bin/true'),
  step('tasks exec --exec-id bad/id t1 /bin/true'),
  step('tasks exec t1 /bin/true'),
  step('tasks exec --exec-id e5 t1 /bin/cat', { input: 'through' }),
  step('tasks exec --exec-id e6 --cwd /tmp --user 65534 t1 /bin/sh -c "pwd; id -u"'),
  step('tasks exec -d --exec-id e7 t1 /bin/sleep 1000'),
  step('tasks exec -d --exec-id e7 t1 /bin/sleep 1000'),
  step('tasks kill --exec-id e7 -s SIGKILL t1'),
  step('tasks kill --exec-id nobody t1'),
  step('tasks exec -t --exec-id e8 t1 /bin/sh', { play: typing([/# /, 'tty; exit 6\r']) }),
  step('tasks rm --exec-id nobody t1'),
  step('tasks metrics --format json t1', { play: only(/\{/) }),
  step('tasks metrics t1', { numbers: true, play: only(/^ID|^t1/) }),
  step('tasks metrics nobody'),
  step('tasks pause t1'),
  step('tasks ls', { numbers: true, before: is('t1', 'PAUSED') }),
  step('tasks pause t1'),
  step('tasks exec --exec-id e9 t1 /bin/true'),
  step('tasks resume t1'),
  step('tasks resume t1'),
  step('tasks pause nobody'),
  step('tasks resume nobody'),
  step('shim --id t1 state', { numbers: true }),
  step('shim --id nobody state'),
  step('tasks rm t1'),
  step('containers rm t1'),
  step('images rm --sync nobody'),
  step('tasks start -d t1'),
  step('tasks start nobody'),
  step('tasks kill -s NOSIG t1'),
  step('tasks kill nobody'),
  step('tasks kill t1'),
  step('tasks ls', { numbers: true, before: is('t1', 'STOPPED') }),
  step('tasks kill t1'),
  step('tasks kill -a t1'),
  step('tasks exec --exec-id e10 t1 /bin/true'),
  step('tasks pause t1'),
  step('tasks metrics t1', { numbers: true }),
  step('tasks ps t1'),
  step('tasks rm t1'),
  step('tasks rm t1'),
  step('tasks start -d t1'),
  step('tasks kill -s 9 -a t1', { before: is('t1', 'RUNNING') }),
  step('tasks delete t1', { before: is('t1', 'STOPPED') }),
  step('tasks start -d t1'),
  step('tasks delete -f t1', { before: is('t1', 'RUNNING') }),
  step('containers rm t1'),
  step(`containers create --rootfs $ROOTFS t2 /bin/sh -c 'echo started; exit 3'`),
  step('tasks start t2'),
  step('tasks start t2'),
  step('containers rm t2'),
  step(`run -d --rootfs $ROOTFS t3 /bin/sh -c 'while :; do echo tick; sleep 0.05; done'`, { play: only(/nothing/) }),
  step('tasks attach nobody'),
  step('tasks attach t3', { play: interrupted('tick') }),
  step('tasks rm -f t3'),
  step('containers rm t3'),
];

const checkpoints: Step[] = [
  step(`run -d $IMAGE k1 ${LOOP}`),
  step(`run -d $IMAGE k2 ${LOOP}`),
  step(`run -d $IMAGE k3 ${LOOP}`),
  step('tasks checkpoint nobody'),
  step('tasks checkpoint --image-path $DIR/criu --work-path $DIR/criu-work k1'),
  step('tasks ls', { numbers: true }),
  step('tasks checkpoint k1', { numbers: true }),
  step('containers checkpoint --image --task nobody example.org/ck:1'),
  step('containers checkpoint --image --task --rw k2 example.org/ck:1'),
  step('images ls -q', { numbers: true }),
  step('tasks rm -f k2'),
  step('containers rm k2'),
  step('containers restore --live k2 example.org/ck:1'),
  step('tasks ls -q', { unordered: true }),
  step('containers restore k4 nobody'),
  step('tasks checkpoint --exit k3', { numbers: true, digests: true }),
  step('tasks ls', { numbers: true, unordered: true, before: is('k3', 'STOPPED') }),
  step('tasks rm k3'),
  step('tasks rm -f k1'),
  step('tasks rm -f k2'),
  step('containers rm k1 k2 k3'),
  step('containers ls -q'),
  step('tasks ls'),
];

const events: Step[] = [
  step('events', { play: listening((id) => `/containers/delete {"id":"${id}"`) }),
  step(`events 'topic=="/tasks/exit"'`, { play: listening((id) => `/tasks/exit {"container_id":"${id}"`) }),
  step('events ==='),
];

const cleaning: Step[] = [
  step('images rm --sync $IMAGE'),
  step('images ls -q', { numbers: true }),
  step('namespaces rm $NAMESPACE'),
];

export const STEPS: Step[] = [
  ...daemonSteps,
  ...namespaces,
  ...leases,
  ...images,
  ...content,
  ...snapshots,
  ...containers,
  ...runs,
  ...tasks,
  ...events,
  ...checkpoints,
  ...cleaning,
];
