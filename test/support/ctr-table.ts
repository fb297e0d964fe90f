/**
 * Runs every command of ctr against hawserd and against the real containerd, and compares what comes of it: exit code, output, and the
 * last line of the errors. `node --import tsx test/support/ctr-table.ts` prints the table.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { useCriu } from './criu.js';
import { IMAGE, STEPS, variables, type Outcome, type Step, type World } from './ctr-steps.js';
import { DIFFERENCES } from './ctr-differences.js';
import { Containerd, makeImage, makeRootfs, shimDir, temporaryDirectory, top } from './daemons.js';

export interface Row {
  command: string;
  hawserd: Outcome;
  containerd: Outcome;
  same: boolean;
  /** Why it is not the same, where that is meant. */
  reason: string | undefined;
}

export interface Version {
  /** `1.6`. */
  name: string;
  major: 1 | 2;
  ctr: string;
  containerd: string;
}

/** The machine's own ctr and containerd, and those of a newer Debian. */
export function versions(): Version[] {
  const fetched = execFileSync('sh', [join(top, 'test/support/packages.sh'), 'containerd@forky'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const bin = fetched.trim().split('\n').at(-1)!.split(' ')[2]!;
  return [
    { name: '1.6', major: 1, ctr: '/usr/bin/ctr', containerd: '/usr/bin/containerd' },
    { name: '2.1', major: 2, ctr: join(bin, 'ctr'), containerd: join(bin, 'containerd') },
  ];
}

/** Words of a command line; quotes keep blanks, and there are variables everywhere but in single quotes. */
function words(line: string, names: Record<string, string>): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, plain]) =>
      single ?? (double ?? plain ?? '').replaceAll(/\$([A-Z]+)/g, (all, name: string) => names[name] ?? all),
  );
}

/** Without what differs from run to run: times, paths, pids. */
function normal(text: string, { daemon }: World, step: Step): string {
  let result = text
    .replaceAll(daemon.dir, 'DIR')
    .replaceAll(daemon.namespace, 'NS')
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d\d:?\d\d( UTC)?|Z)?/g, 'TIME')
    .replaceAll(/\b(\d+|About an?|Less than an?) (second|minute|hour|day)s?( ago)?/g, 'AGO')
    .replaceAll(/(elapsed: )[\d.]+ *\w+|(\()[\d.]+ \w+\/s/g, '$1$2N')
    .replaceAll(/\bextract-\d+-\S+/g, 'EXTRACT')
    .replaceAll(/(containerd-mount|snapshots\/|manifest-tmp|edit-)\d+/g, '$1N')

    .replaceAll(/(\/run\/containerd\/fifo\/)\d+|(\/run\/containerd\/s\/)[\da-f]+/g, '$1$2N')
    .replaceAll(/"seconds":\d+,"nanos":\d+/g, 'TIME')
    .replaceAll(/(?<=^|\s)[^\s,=]+=[^\s,]+(,[^\s,=]+=[^\s,]+)+/g, (labels) => labels.split(',').sort().join(','))
    .replaceAll(/("?pid"?:) *\d+/gi, '$1 N')
    .replaceAll(/\b[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}\b/g, 'UUID');
  if (step.digests) result = result.replaceAll(/sha256:[\da-f]{64}/g, 'DIGEST');
  if (step.numbers) result = result.replaceAll(/\d+(\.\d+)?(e\+\d+)?/g, 'N');
  const lines = result
    .split('\n')
    .map((line) => line.replaceAll(/\s+/g, ' ').trim())
    .filter(Boolean);
  return (step.unordered ? lines.sort() : lines).join('\n');
}

async function take(step: Step, world: World): Promise<Outcome> {
  const args = words(step.command, variables(world));
  await step.before?.(world);
  const outcome = await (step.play
    ? step.play(world, args)
    : world.daemon.ctr(args, { reject: false, ...(step.input === undefined ? {} : { input: step.input }) }));
  const { exitCode, stdout, stderr } = outcome;
  return {
    exitCode,
    stdout: normal(stdout ?? '', world, step),
    stderr:
      normal(stderr ?? '', world, step)
        .split('\n')
        .at(-1) ?? '',
  };
}

const equal = (a: Outcome, b: Outcome): boolean =>
  a.exitCode === b.exitCode && a.stdout === b.stdout && a.stderr === b.stderr;

/** All rows for a version of ctr; `tell` is given each as it is there. */
export async function compare(
  { major, ctr, containerd }: Version,
  tell: (row: Row) => void = () => undefined,
): Promise<Row[]> {
  useCriu();
  const shared = temporaryDirectory('ctr-table');
  const daemons = [new Containerd(shimDir, join(top, 'bin/hawserd'), ctr), new Containerd(shimDir, containerd, ctr)];
  const rows: Row[] = [];
  try {
    const archive = await makeImage(shared, makeRootfs(join(shared, 'rootfs')), IMAGE);
    writeFileSync(`${archive}.rubbish`, 'no archive'.repeat(200));
    const digest = (name: string): string =>
      `sha256:${createHash('sha256')
        .update(readFileSync(join(shared, 'image', name)))
        .digest('hex')}`;
    const worlds = daemons.map((daemon): World => ({
      daemon,
      archive,
      layer: digest('layer.tar'),
      config: digest('config.json'),
    }));
    for (const { daemon } of worlds) {
      mkdirSync(join(daemon.dir, 'mnt'));
      await daemon.start();
    }
    const seen = new Map<string, number>();
    for (const step of STEPS.filter(({ only }) => only === undefined || only === major)) {
      const hawserd = await take(step, worlds[0]!);
      const real = await take(step, worlds[1]!);
      // The same words may come more than once, at other times.
      const count = (seen.get(step.command) ?? 0) + 1;
      seen.set(step.command, count);
      const command = count > 1 ? `${step.command} (${count})` : step.command;
      const row: Row = {
        command,
        hawserd,
        containerd: real,
        same: equal(hawserd, real),
        reason: DIFFERENCES.find(({ rows: pattern, only }) => pattern.test(command) && (only ?? major) === major)
          ?.reason,
      };
      rows.push(row);
      tell(row);
    }
  } finally {
    for (const daemon of daemons) await daemon.cleanUp();
    rmSync(shared, { recursive: true, force: true });
  }
  return rows;
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ⏎ ');
const short = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text);

function told({ exitCode, stdout, stderr }: Outcome, other: Outcome): string {
  // Where they part is what is worth reading.
  const mine = stdout.split('\n');
  const theirs = stdout === other.stdout ? mine : other.stdout.split('\n');
  const at = mine.findIndex((line, n) => line !== theirs[n]);
  const lines = at > 0 ? ['…', ...mine.slice(at)] : mine;
  return cell([String(exitCode), short(lines.join('\n'), 110), short(stderr, 160)].filter(Boolean).join('; '));
}

export function markdown(version: Version, rows: readonly Row[]): string {
  return [
    `### ctr ${version.name}, beside containerd ${version.name}`,
    '',
    '| ctr … | hawserd | containerd | same? |',
    '| --- | --- | --- | --- |',
    ...rows.map(
      ({ command, hawserd, containerd, same, reason }) =>
        `| \`${cell(short(command, 90))}\` | ${told(hawserd, containerd)} | ${told(containerd, hawserd)} | ${same ? 'yes' : reason === undefined ? '**NO**' : `no: ${reason}`} |`,
    ),
    '',
    `${rows.length} commands, ${rows.filter(({ same }) => same).length} the same, ${rows.filter(({ same, reason }) => !same && reason !== undefined).length} differ as meant.`,
    '',
  ].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const version of versions().filter(({ name }) => process.argv.length < 3 || process.argv.includes(name))) {
    const rows = await compare(version);
    console.log(markdown(version, rows));
    for (const { command } of rows.filter(({ same, reason }) => !same && reason === undefined)) {
      console.error(`differs: ${command}`);
      process.exitCode = 1;
    }
  }
}
