/** hawser shim: has containerd or dockerd find Hawser's shim, and undoes it; and has shims that run go on with this version. */
import { spawnSync } from 'node:child_process';
import type { Plan } from '../enable/change.js';
import { apply, patchOf } from '../enable/change.js';
import { disable, keptNote } from '../enable/disable.js';
import { enable } from '../enable/enable.js';
import { ownShim } from '../enable/own-shim.js';
import { Root } from '../enable/root.js';
import type { Found } from '../enable/shims.js';
import { statusOf, type Status } from '../enable/status.js';
import { nameOfWritten } from '../enable/written.js';
import { CliError, Exit, UsageError } from '../errors.js';
import { align } from '../format/table.js';

interface RootFlag {
  readonly root?: string;
}

export interface EnableFlags extends RootFlag {
  readonly for?: string;
  readonly runtimeClass?: string;
  readonly dryRun?: boolean;
}

export function shimEnableCommand({ root: dir, for: daemon, runtimeClass, dryRun }: EnableFlags): void {
  if (daemon !== undefined && daemon !== 'containerd' && daemon !== 'docker')
    throw new UsageError(`--for ${daemon} is no daemon: it is for containerd or docker`, 'shim enable');
  const root = new Root(dir);
  perform(root, enable(root, { daemon, runtimeClass, shim: ownShim() }), dryRun, 'it is enabled already');
}

export interface DisableFlags extends RootFlag {
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

export function shimDisableCommand({ root: dir, force = false, dryRun }: DisableFlags): void {
  const root = new Root(dir);
  const plan = disable(root, force);
  if (plan.changes.length > 0 || plan.kept.length === 0) perform(root, plan, dryRun, 'nothing is enabled');
  if (plan.kept.length > 0) throw new CliError(plan.kept.map((one) => keptNote(root, one)).join('\n'));
}

/** Shows what is to be done, or does it; and says what is left to the user, who alone knows when a daemon may be restarted. */
function perform(root: Root, { changes, steps, notes }: Plan, dryRun: boolean | undefined, nothing: string): void {
  if (changes.length === 0) {
    process.stdout.write(`Nothing to do: ${nothing}.\n`);
    return;
  }
  for (const change of changes) {
    if (dryRun) process.stdout.write(patchOf(root, change));
    else {
      apply(root, change);
      process.stdout.write(`${change.after === undefined ? 'removed' : 'wrote'} ${root.target(change.path)}\n`);
    }
  }
  process.stdout.write(`\n${notes.map((note) => `${note}\n`).join('')}`);
  if (steps.length > 0) process.stdout.write(`\nIt takes:\n${steps.map((step) => `  ${step}\n`).join('')}`);
}

export interface StatusFlags extends RootFlag {
  readonly json?: boolean;
}

export function shimStatusCommand({ root: dir, json }: StatusFlags): void {
  const root = new Root(dir);
  const shim = ownShim();
  const status = statusOf(root, root.inside(shim));
  if (json) {
    process.stdout.write(`${JSON.stringify({ shim, ...status }, null, 2)}\n`);
    return;
  }
  const whose = (found: Found | undefined): string =>
    found === undefined ? 'no shim' : `${found.isOurs ? "Hawser's" : "not Hawser's"}, ${found.shim}`;
  const lines = [
    ['shim', shim],
    ...status.services.flatMap(({ name, next, running }) => [
      [name, `its next start finds ${whose(next)}`],
      ...(running === undefined || running.finds?.shim === next?.shim
        ? []
        : [['', `process ${running.pid} still finds ${whose(running.finds)}`]]),
    ]),
    ...status.written.map((one) => [nameOfWritten(one), `${root.at(one.path)}${remarkOn(one, root.inside(shim))}`]),
    ...(root.isThisMachine
      ? [['shims that run', `${status.shims.ours} of Hawser's, ${status.shims.others} others`]]
      : []),
  ];
  process.stdout.write(align(lines));
  if (status.written.some(({ isMissing }) => isMissing)) throw new Exit(1);
}

export interface UpgradeFlags {
  readonly all?: boolean;
  readonly namespace?: string;
  readonly id?: string;
  readonly shimAddress?: string;
  readonly wait?: string;
  readonly dryRun?: boolean;
}

/** The shim's program does it; what it says is for people, too. */
export function shimUpgradeCommand({ all, namespace, id, shimAddress, wait, dryRun }: UpgradeFlags): void {
  if (!all && id === undefined) throw new UsageError('it takes --all, or --namespace and --id', 'shim upgrade');
  if (all && id !== undefined) throw new UsageError('--all and --id exclude each other', 'shim upgrade');
  if (id !== undefined && namespace === undefined)
    throw new UsageError("--id goes with --namespace: docker's is moby, Kubernetes' k8s.io", 'shim upgrade');
  const words = [
    ...(all ? ['--all'] : []),
    ...Object.entries({ '-namespace': namespace, '-id': id, '-address': shimAddress, '--wait': wait }).flatMap(
      ([name, value]) => (value === undefined ? [] : [name, value]),
    ),
    ...(dryRun ? ['--dry-run'] : []),
  ];
  const shim = ownShim();
  const { status, error, stderr } = spawnSync(shim, ['upgrade', ...words], {
    stdio: ['ignore', 'inherit', 'pipe'],
    encoding: 'utf8',
  });
  if (error) throw new CliError(`cannot run ${shim}: ${error.message}`, 1, { cause: error });
  const said = stderr.replace(/^io\.containerd\.runc\.v2: (upgrade: )?/, '').split('\n')[0]!;
  if (status !== 0) throw new CliError(said.replace(/^upgrade: /, ''), 1);
}

function remarkOn({ isEdited, isMissing, shim }: Status['written'][number], own: string): string {
  const edited = isEdited ? ', edited since' : '';
  if (isMissing) return `${edited}: leads to ${shim}, which is not there`;
  return shim === own ? edited : `${edited}: leads to ${shim ?? 'no shim'}`;
}
