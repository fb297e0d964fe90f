/**
 * A place where what a page says can be done as it says it: /usr/local, /etc, /run, /srv, /var and all processes are the
 * page's own, and nothing of them is left.
 */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { transformSync } from 'esbuild';
import { execa } from 'execa';
import { makePackage } from './custom-shims.js';
import { makeImage, makeRootfs, temporaryDirectory, top } from './daemons.js';
import { removeCgroups } from './machine.js';
import type { Sample } from './samples.js';

const PAGE_MS = 150_000;

/** What the commands of a page may use besides what they name: see `hidden sh` in samples.ts. */
const PRELUDE = `
mount --make-rprivate /
ip link set lo up
for dir in usr/local etc var srv; do
  mkdir -p "$SANDBOX/ns"
  mountpoint -q "$SANDBOX/ns" || mount -t tmpfs none "$SANDBOX/ns"
  mkdir -p "$SANDBOX/ns/$dir/upper" "$SANDBOX/ns/$dir/work"
  mount -t overlay -o "lowerdir=/$dir,upperdir=$SANDBOX/ns/$dir/upper,workdir=$SANDBOX/ns/$dir/work" overlay "/$dir"
done
mount -t tmpfs none /run
# Overlays can't be made of overlays.
mkdir -p /var/lib/hawser
mount -t tmpfs none /var/lib/hawser
export PATH="/usr/local/sbin:/usr/local/bin:$SANDBOX/bin:/usr/sbin:/usr/bin:/sbin:/bin"
wait_for() {
  for _ in $(seq 400); do [ -e "$1" ] && return; sleep 0.05; done
  echo "waited in vain for $1" >&2
  return 1
}
start_containerd() {
  mkdir -p /etc/containerd
  printf 'version = 2\\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\\nroot = "%s"\\n' "$SANDBOX/root" >"$SANDBOX/containerd.toml"
  containerd -c "$SANDBOX/containerd.toml" >"$SANDBOX/daemon.log" 2>&1 &
  wait_for /run/containerd/containerd.sock
}
start_hawserd() {
  "$CHECKOUT/bin/hawserd" --root "$SANDBOX/root" >"$SANDBOX/daemon.log" 2>&1 &
  wait_for /run/hawser/hawserd.sock
  export CONTAINERD_ADDRESS=/run/hawser/hawserd.sock
  ctr images import "$BUSYBOX_IMAGE" >/dev/null
}
# A machine that has no image, and what it gets from docker.io.
start_registry() {
  (cd "$CHECKOUT" && exec node --import tsx test/support/page-registry.ts) >"$SANDBOX/registry.log" 2>&1 &
  wait_for "$SANDBOX/registry"
}
# What is typed at a terminal: at_terminal KEYS COMMAND…
at_terminal() {
  keys=$1
  shift
  printf "$keys" | script -qefc "$*" /dev/null
}
cd "$SAMPLES"
`;

const TOOLS: Readonly<Record<string, string>> = {
  // Without a registry.
  npx: '#!/bin/sh\ntool=$1\nshift\nexec "$CHECKOUT/node_modules/.bin/$tool" "$@"\n',
  // There is no systemd here: what it is told must be about units that are there.
  systemctl: `#!/bin/sh
case $1 in
  daemon-reload) exit 0;;
  enable|disable|restart|stop) verb=$1; shift; [ "$1" = --now ] && shift;;
  *) echo "systemctl $1 is not known to the tests" >&2; exit 1;;
esac
for unit; do
  [ -e "/usr/local/lib/systemd/system/$unit.service" ] || [ -e "/lib/systemd/system/$unit.service" ] || { echo "there is no unit $unit" >&2; exit 1; }
done
`,
};

/** Where a page's files and programs are to be. */
export class PageSandbox {
  readonly dir = temporaryDirectory('page');
  readonly samples = join(this.dir, 'samples');
  readonly namespace = basename(this.dir);

  constructor() {
    makePackage(this.samples);
    mkdirSync(join(this.dir, 'bin'));
    for (const [name, script] of Object.entries(TOOLS))
      writeFileSync(join(this.dir, 'bin', name), script, { mode: 0o755 });
  }

  /** Puts the files of a page where its commands look for them; returns those of TypeScript, to be type-checked. */
  write(samples: readonly Sample[]): string[] {
    const programs: string[] = [];
    for (const sample of samples) {
      if (sample.isHidden || sample.notRun !== undefined) continue;
      const name = sample.file ?? (sample.language === 'ts' ? `sample-${sample.line}.ts` : undefined);
      if (name === undefined) continue;
      const path = join(this.samples, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, sample.whole);
      if (sample.language !== 'ts') continue;
      programs.push(path);
      if (!sample.file)
        writeFileSync(
          path.replace(/\.ts$/, '.mjs'),
          transformSync(sample.whole, { loader: 'ts', format: 'esm', target: 'node20' }).code,
        );
    }
    return programs;
  }

  /** Does all that a page says, from its top. Throws with the block that failed and what was printed. */
  async run(samples: readonly Sample[]): Promise<void> {
    const steps = samples
      .filter(({ notRun, file }) => notRun === undefined && file === undefined)
      .flatMap(({ language, line, code }) => {
        const mark = `at=${line}`;
        if (language === 'sh') return [`${mark}\n${code}`];
        return language === 'ts'
          ? [`${mark}\nnode --enable-source-maps "$SAMPLES/sample-${line}.mjs" </dev/null\n`]
          : [];
      });
    if (steps.length === 0) return;
    const wantsDaemon = samples.some(({ language, code }) => language === 'ts' && code.includes("'hawser/client'"));
    const script = `${PRELUDE}${wantsDaemon ? 'start_hawserd\n' : ''}trap '[ $? = 0 ] || echo "failed at line $at"' EXIT\n${steps.join('')}`;
    writeFileSync(join(this.dir, 'page.sh'), script);
    const rootfs = makeRootfs(join(this.dir, 'rootfs'));
    symlinkSync('busybox', join(rootfs, 'bin/httpd'));
    const image = await makeImage(this.dir, rootfs, 'docker.io/library/busybox:latest');
    const { NODE_EXTRA_CA_CERTS: _, CONTAINERD_ADDRESS: __, ...env } = process.env;
    const result = await execa(
      'unshare',
      ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-eu', join(this.dir, 'page.sh')],
      {
        all: true,
        reject: false,
        stdin: 'ignore',
        timeout: PAGE_MS,
        killSignal: 'SIGKILL',
        extendEnv: false,
        cleanup: true,
        env: {
          ...env,
          HOME: this.samples,
          SANDBOX: this.dir,
          SAMPLES: this.samples,
          CHECKOUT: top.replace(/\/$/, ''),
          ROOTFS: rootfs,
          BUSYBOX_IMAGE: image,
          CONTAINERD_NAMESPACE: this.namespace,
          HAWSER_ZYGOTE: 'off',
          MAKEFLAGS: '',
        },
      },
    );
    if (result.exitCode !== 0)
      throw new Error(
        `${samples[0]!.page} does not do what it says (${result.timedOut ? 'out of time' : `status ${result.exitCode}`}):\n${result.all}`,
      );
  }

  cleanUp(): void {
    removeCgroups(`/${this.namespace}`);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
