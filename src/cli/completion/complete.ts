/** What fits where the user is typing: commands, flags, their values, containers, images. */
import { constants } from 'node:os';
import type { Command, Option } from 'commander';
import { existsSync } from 'node:fs';
import { CAPABILITIES } from '../../oci/capabilities.js';
import { commandBelowInit } from '../../oci/init-program.js';
import { readConfigs } from '../../client/network/cni/config.js';
import { placesOf } from '../../client/network/places.js';
import { addressOf, type Globals } from '../address.js';
import { nameOf, shortId, withSession } from '../session.js';

export interface Candidate {
  /** Or `:files`, `:dirs`, `:shell` for what the shell knows best. */
  readonly word: string;
  readonly help: string;
}

/** Nobody waits for longer at a key. */
const PATIENCE_MS = 3000;
const NOT_RUNNING = new Set([
  'start',
  'rm',
  'logs',
  'inspect',
  'restore',
  'wait',
  'restart',
  'ps',
  'cp',
  'diff',
  'export',
  'commit',
]);

/** @param words all after the program's name; the last one is being typed and may be empty */
export async function complete(top: Command, words: readonly string[]): Promise<Candidate[]> {
  const typed = words.at(-1) ?? '';
  const place = walk(top, words.slice(0, -1));
  const [, flag, value] = /^(--[^=]+)=(.*)$/.exec(typed) ?? [];
  if (flag !== undefined) {
    const option = optionOf(place.command, top, flag);
    const found = option ? await valuesOf(option, value!, place.globals) : [];
    return found.map((one) => (one.word.startsWith(':') ? one : { ...one, word: `${flag}=${one.word}` }));
  }
  if (place.pending) return valuesOf(place.pending, typed, place.globals);
  if (typed.startsWith('-') && !place.onlyArguments) return flags(place.command, top, typed);
  if (place.command.commands.length > 0 && place.args.length === 0) {
    const visible = place.command.createHelp().visibleCommands(place.command);
    return fitting(
      visible.map((one) => ({ word: one.name(), help: one.description() })),
      typed,
    );
  }
  return argument(place, typed);
}

interface Place {
  readonly command: Command;
  readonly args: readonly string[];
  /** An option whose value is being typed. */
  readonly pending: Option | undefined;
  /** No flag can come any more: what comes is the container's. */
  readonly onlyArguments: boolean;
  readonly globals: Globals;
  readonly given: ReadonlySet<string>;
}

/** Goes through what stands before. */
function walk(top: Command, words: readonly string[]): Place {
  let command = top;
  const args: string[] = [];
  const given = new Set<string>();
  const globals: { address?: string; namespace?: string } = {};
  let onlyArguments = false;
  let pending: Option | undefined;
  for (const word of words) {
    if (pending) {
      if (pending.long === '--address') globals.address = word;
      if (pending.long === '--namespace') globals.namespace = word;
      pending = undefined;
      continue;
    }
    if (!onlyArguments && word === '--') {
      onlyArguments = true;
      continue;
    }
    if (!onlyArguments && word.startsWith('-') && word !== '-') {
      const [name, inline] = word.startsWith('--')
        ? [word.split('=')[0]!, word.includes('=')]
        : [`-${word.at(-1)!}`, false];
      const option = optionOf(command, top, name);
      if (option?.long) given.add(option.long);
      if (option && takesValue(option) && !inline) pending = option;
      if (inline && option?.long === '--address') globals.address = word.slice(word.indexOf('=') + 1);
      if (inline && option?.long === '--namespace') globals.namespace = word.slice(word.indexOf('=') + 1);
      continue;
    }
    const below = (parent: Command): Command | undefined =>
      parent.commands.find((one) => one.name() === word || one.aliases().includes(word));
    // Below docker's groups is what stands without a group as well.
    const next = args.length > 0 ? undefined : (below(command) ?? (isGroup(command, top) ? below(top) : undefined));
    if (next) {
      command = next;
      continue;
    }
    args.push(word);
    // run IMAGE COMMAND -flags: those are the command's.
    if ((command as unknown as { _passThroughOptions?: boolean })._passThroughOptions) onlyArguments = true;
  }
  return { command, args, pending, onlyArguments, globals, given };
}

function isGroup(command: Command, top: Command): boolean {
  return command.parent === top && (command.name() === 'container' || command.name() === 'system');
}

function optionOf(command: Command, top: Command, name: string): Option | undefined {
  return [...command.options, ...top.options].find((one) => one.long === name || one.short === name);
}

function takesValue(option: Option): boolean {
  return option.required || option.optional;
}

function flags(command: Command, top: Command, typed: string): Candidate[] {
  const visible = command.options.filter((one) => !one.hidden);
  const all =
    command === top
      ? visible
      : [
          ...visible,
          ...command
            .createHelp()
            .visibleOptions(command)
            .filter((one) => one.long === '--help'),
        ];
  return fitting(
    all.flatMap((one) => (one.long ? [{ word: one.long, help: one.description }] : [])),
    typed,
  ).concat(typed === '-' ? all.flatMap((one) => (one.short ? [{ word: one.short, help: one.description }] : [])) : []);
}

const WORDS: Readonly<Record<string, readonly string[]>> = {
  '--driver': ['bridge', 'macvlan', 'ipvlan'],
  '--pid': ['private', 'host'],
  '--ipc': ['private', 'shareable', 'none', 'host'],
  '--uts': ['private', 'host'],
  '--cgroupns': ['private', 'host'],
  '--cgroup-manager': ['systemd', 'cgroupfs'],
  '--log-driver': ['file', 'none'],
  '--pull': ['always', 'missing', 'never'],
  '--type': ['container', 'image', 'volume'],
  '--restart': ['no', 'always', 'unless-stopped', 'on-failure'],
  '--platform': ['linux/amd64', 'linux/arm64'],
  '--format': ['json', 'table'],
  '--filter': ['id=', 'name=', 'label=', 'status=', 'exited=', 'ancestor=', 'container=', 'event=', 'image=', 'type='],
  '--for': ['containerd', 'docker'],
  '--security-opt': [
    'no-new-privileges',
    'seccomp=unconfined',
    'seccomp=builtin',
    'apparmor=unconfined',
    'systempaths=unconfined',
  ],
  '--tail': ['all', '10', '100'],
  '--log-opt': ['path=', 'format=', 'max-size=', 'max-file='],
  '--snapshotter': ['overlayfs', 'native'],
  '--detach-keys': ['ctrl-p,ctrl-q'],
  '--attach': ['stdin', 'stdout', 'stderr'],
  '--gpus': ['all', 'device='],
  '--userns': ['host'],
  '--mount': ['type=volume,src=', 'type=bind,src=', 'type=tmpfs,dst='],
};
const BUILT_IN = ['none', 'host'].map((word) => ({ word, help: '' }));
const DIRECTORIES = new Set([
  '--cni-netconfpath',
  '--rootfs',
  '--image-path',
  '--checkpoint',
  '--hosts-dir',
  '--root',
  '--cdi-spec-dir',
]);
const FILES = new Set([
  '--input',
  '--env-file',
  '--label-file',
  '--cidfile',
  '--pidfile',
  '--output',
  '--volume',
  '--device',
  '--address',
]);

async function valuesOf(option: Option, typed: string, globals: Globals): Promise<Candidate[]> {
  const name = option.long ?? '';
  if (DIRECTORIES.has(name)) return [{ word: ':dirs', help: '' }];
  if (FILES.has(name)) return [{ word: ':files', help: '' }];
  if (name === '--signal' || name === '--stop-signal')
    return fitting(
      Object.keys(constants.signals).map((one) => ({ word: one.replace(/^SIG/, ''), help: '' })),
      typed.toUpperCase().replace(/^SIG/, ''),
    );
  if (name === '--network') return fitting([...networks(), ...BUILT_IN], typed);
  if (name === '--runtime') return fitting(await runtimes(globals), typed);
  if (name === '--volumes-from') return fitting(await containers(globals, 'inspect'), typed);
  if (name === '--namespace') return fitting(await namespaces(globals), typed);
  if (name === '--cap-add' || name === '--cap-drop')
    return fitting(
      ['ALL', ...CAPABILITIES].map((one) => ({ word: one, help: '' })),
      typed.toUpperCase(),
    );
  return fitting(
    (WORDS[name] ?? []).map((word) => ({ word, help: '' })),
    typed,
  );
}

async function argument({ command, args, globals, given }: Place, typed: string): Promise<Candidate[]> {
  const declared = command.registeredArguments;
  const at = Math.min(args.length, declared.length - 1);
  const meant = declared[at];
  if (meant === undefined || (args.length > at && !meant.variadic)) return [];
  const rootfs = given.has('--rootfs');
  switch (meant.name()) {
    case 'container':
      return fitting(
        (await containers(globals, command.name())).filter(({ word }) => !args.includes(word)),
        typed,
      );
    case 'image':
      return rootfs
        ? [{ word: ':files', help: '' }]
        : fitting(
            (await images(globals)).filter(({ word }) => !args.includes(word)),
            typed,
          );
    case 'volume':
      return fitting(
        (await volumes(globals)).filter(({ word }) => !args.includes(word)),
        typed,
      );
    case 'source':
    case 'target':
      return [
        { word: ':files', help: '' },
        ...fitting(
          (await containers(globals, command.name())).map(({ word, help }) => ({ word: `${word}:`, help })),
          typed,
        ),
      ];
    case 'command':
      return [{ word: ':files', help: '' }];
    case 'network':
      return fitting(
        networks().filter(({ word }) => !args.includes(word)),
        typed,
      );
    case 'archive':
      return [{ word: ':files', help: '' }];
    case 'shell':
      return fitting(
        ['bash', 'zsh', 'fish'].map((word) => ({ word, help: '' })),
        typed,
      );
    case 'topic':
      return fitting(
        [
          { word: 'state', help: 'what it does and waits for' },
          { word: 'metrics', help: 'figures for Prometheus' },
        ],
        typed,
      );
    default:
      return [];
  }
}

/** Those that the command is for: what runs, or what does not, too. */
async function containers(globals: Globals, command: string): Promise<Candidate[]> {
  return asked(globals, async ({ client }) => {
    const [all, tasks] = await Promise.all([client.containers(), client.tasks()]);
    const states = new Map(tasks.map((task) => [task.containerId, task.state]));
    return all
      .filter(({ id }) => {
        const state = states.get(id);
        if (NOT_RUNNING.has(command)) return command !== 'start' || state === undefined || state === 'stopped';
        return command === 'unpause' ? state === 'paused' : state === 'running' || state === 'paused';
      })
      .map(({ id, record }) => ({
        word: nameOf(record.labels) ?? shortId(id),
        help: `${states.get(id) ?? 'created'} ${commandBelowInit(record.spec.process?.args ?? [])
          .join(' ')
          .slice(0, 40)}`,
      }));
  });
}

/** Of the default places: they are files of this machine's. */
function networks(): Candidate[] {
  return readConfigs(placesOf({}, process.env.CONTAINERD_NAMESPACE || 'default')).map(({ name, plugins }) => ({
    word: name,
    help: plugins[0]!.type,
  }));
}

function images(globals: Globals): Promise<Candidate[]> {
  return asked(globals, async ({ client }) =>
    (await client.images.list()).map(({ name }) => ({ word: name, help: '' })),
  );
}

function volumes(globals: Globals): Promise<Candidate[]> {
  return asked(globals, async ({ client }) =>
    (await client.volumes.list()).map(({ name, mountpoint }) => ({ word: name, help: mountpoint })),
  );
}

function namespaces(globals: Globals): Promise<Candidate[]> {
  return asked(globals, async ({ client }) =>
    (await client.services.namespaces.List({})).namespaces.map(({ name }) => ({ word: name ?? '', help: '' })),
  );
}

function runtimes(globals: Globals): Promise<Candidate[]> {
  return asked(globals, async ({ client }) => {
    const { shimsOf } = await import('../commands/runtimes.js');
    const { pid } = await client.services.introspection.Server({});
    return [...new Set(['io.containerd.runc.v2', ...shimsOf(Number(pid)).keys()])].map((word) => ({ word, help: '' }));
  });
}

/** Where no daemon is there is nothing to complete, and nothing to complain of at a key. */
async function asked(globals: Globals, question: Parameters<typeof withSession<Candidate[]>>[1]): Promise<Candidate[]> {
  if (!existsSync(addressOf(globals))) return [];
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Candidate[]>((resolve) => {
    timer = setTimeout(() => resolve([]), PATIENCE_MS);
  });
  try {
    return await Promise.race([withSession(globals, question), late]);
  } catch (error) {
    if (error instanceof Error) return [];
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function fitting(candidates: readonly Candidate[], typed: string): Candidate[] {
  return candidates.filter(({ word }) => word.startsWith(typed)).sort((a, b) => (a.word < b.word ? -1 : 1));
}
