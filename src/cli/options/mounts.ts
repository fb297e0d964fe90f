/** Mounts, as docker's -v, --mount, --tmpfs and --volumes-from say them. */
import { existsSync, mkdirSync } from 'node:fs';
import { normalize, resolve } from 'node:path';
import type { SpecMount, VolumeMount } from '../../client/index.js';
import { CliError, FAILED, UsageError } from '../errors.js';
import { fieldsOf } from './csv.js';
import { pairs } from './environment.js';

const PROPAGATION = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'];
/** Of SELinux, and of docker's for macOS: they change nothing here. */
const WITHOUT_EFFECT = ['z', 'Z', 'consistent', 'cached', 'delegated'];

/** What is mounted: by the client library as a volume, or as the spec has it. */
export type AnyMount = { readonly volume: VolumeMount } | { readonly mount: SpecMount };

export interface MountFlags {
  readonly volume?: string[];
  readonly mount?: string[];
  readonly tmpfs?: string[];
}

export interface MountOptions {
  readonly mounts: readonly SpecMount[];
  readonly volumes: readonly VolumeMount[];
}

/** @throws UsageError for two at one destination, as docker */
export function mountOptions(flags: MountFlags): MountOptions {
  const all: AnyMount[] = [
    ...(flags.volume ?? []).map(volume),
    ...(flags.mount ?? []).map(mount),
    ...(flags.tmpfs ?? []).map((text) => ({ mount: tmpfs(text) })),
  ];
  const taken = new Set<string>();
  for (const one of all) {
    const { destination } = 'volume' in one ? one.volume : one.mount;
    const path = normalize(destination).replace(/(?<=.)\/$/, '');
    if (path === '/') throw new UsageError(`a mount at / would hide the container's files: name a directory below it`);
    if (taken.has(path)) throw new UsageError(`two mounts are to be at ${path}: leave out one of them`);
    taken.add(path);
  }
  return {
    mounts: all.flatMap((one) => ('mount' in one ? [one.mount] : [])),
    volumes: all.flatMap((one) => ('volume' in one ? [one.volume] : [])),
  };
}

/** `DST` for an anonymous volume, `NAME:DST[:OPTIONS]`, or `PATH:DST[:OPTIONS]`; a directory of the host that is missing is made, as docker does. */
export function volume(text: string): AnyMount {
  const what = `--volume ${JSON.stringify(text)}`;
  const parts = text.split(':');
  if (parts.length > 3 || parts.some((part) => part === ''))
    throw new UsageError(`${what}: it is DST, NAME:DST, SRC:DST or SRC:DST:OPTIONS`);
  const [source, destination, words = ''] = parts.length === 1 ? [undefined, parts[0]!] : (parts as [string, string]);
  if (!destination.startsWith('/'))
    throw new UsageError(
      parts.length === 1
        ? `${what}: ${destination} must be an absolute path in the container, or be followed by one: ${destination}:/path`
        : `${what}: ${destination} must be an absolute path`,
    );
  const options = words.split(',').filter(Boolean);
  if (source === undefined || !/^[./~]/.test(source)) return { volume: named(source, destination, options, what) };
  if (options.includes('nocopy')) throw new UsageError(`${what}: nocopy is for volumes: into a path nothing is copied`);
  const path = resolve(source);
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    // A file can be bound as well.
    if (!['EEXIST', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  return { mount: bind(path, destination, options, `--volume ${text}`) };
}

function named(name: string | undefined, destination: string, options: readonly string[], what: string): VolumeMount {
  const unknown = options.find((option) => !['rw', 'ro', 'nocopy', ...WITHOUT_EFFECT].includes(option));
  if (unknown !== undefined)
    throw new UsageError(`${what}: ${unknown} is no option of a volume; there are ro, rw and nocopy`);
  return {
    ...(name === undefined ? {} : { name: volumeName(name, what) }),
    destination,
    readOnly: options.includes('ro'),
    copy: !options.includes('nocopy'),
  };
}

/** A name that a volume can have. Who has written a path, and meant one, is told. */
function volumeName(name: string, what: string): string {
  if (name.includes('/')) throw new UsageError(`${what}: ${name} is no volume's name; a path begins with / or ./`);
  if (!/^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/.test(name) || name.length > 76)
    throw new UsageError(
      `${what}: a volume's name has letters and digits, with one of - _ . between them, 76 at most; ${name} is none`,
    );
  return name;
}

/** `type=bind,src=/a,dst=/b,readonly`, with docker's other names for these. */
export function mount(text: string): AnyMount {
  const what = `--mount ${JSON.stringify(text)}`;
  const fields = new Map<string, string[]>();
  for (const part of fieldsOf(text, '--mount')) {
    const [key = '', ...value] = part.split('=');
    const name = key.trim().toLowerCase();
    fields.set(name, [...(fields.get(name) ?? []), value.join('=')]);
  }
  const takeAll = (...names: string[]): string[] => {
    const values = names.flatMap((name) => fields.get(name) ?? []);
    for (const name of names) fields.delete(name);
    return values;
  };
  const take = (...names: string[]): string | undefined => takeAll(...names)[0];
  const flag = (...names: string[]): boolean => {
    const value = take(...names);
    return value !== undefined && value !== 'false' && value !== '0';
  };
  // docker's default.
  const type = take('type') ?? 'volume';
  const source = take('source', 'src');
  const destination = take('destination', 'dst', 'target');
  if (!destination?.startsWith('/')) throw new UsageError(`${what}: it needs dst= and an absolute path`);
  const options = (take('options', 'o') ?? '').split(':').filter(Boolean);
  const readOnly = flag('readonly', 'ro');
  if (readOnly) options.push('ro');
  take('consistency');
  const made = ((): AnyMount => {
    switch (type) {
      case 'volume': {
        const driver = take('volume-driver');
        if (driver !== undefined && driver !== 'local')
          throw new UsageError(`${what}: there is no volume driver but local`);
        if (take('volume-opt') !== undefined)
          throw new UsageError(
            `${what}: volumes have no options here; another file system is mounted by its own type: type=nfs,src=HOST:/path,dst=…`,
          );
        if (take('volume-subpath') !== undefined)
          throw new UsageError(`${what}: a part of a volume cannot be mounted here; mount the whole of it`);
        if (source?.startsWith('/'))
          throw new UsageError(`${what}: ${source} is a path, and no volume's name: say type=bind`);
        return {
          volume: {
            ...(source === undefined || source === '' ? {} : { name: volumeName(source, what) }),
            destination,
            readOnly,
            copy: !flag('volume-nocopy'),
            labels: pairs(takeAll('volume-label'), '--mount volume-label'),
          },
        };
      }
      case 'tmpfs': {
        if (source) throw new UsageError(`${what}: a tmpfs has no src=`);
        const [size, mode] = [take('tmpfs-size'), take('tmpfs-mode')];
        if (size !== undefined) options.push(`size=${size}`);
        if (mode !== undefined) options.push(`mode=${mode}`);
        return { mount: tmpfs([destination, options.join(',')].filter(Boolean).join(':')) };
      }
      case 'bind': {
        const propagation = take('bind-propagation');
        if (propagation !== undefined) options.push(propagation);
        const recursive = take('bind-recursive');
        if (flag('bind-nonrecursive') || recursive === 'disabled') options.push('bind');
        else if (recursive !== undefined && !['enabled', 'writable'].includes(recursive))
          throw new UsageError(`${what}: bind-recursive is enabled, disabled or writable here`);
        if (!source) throw new UsageError(`${what}: it needs src=`);
        const path = resolve(source);
        if (!existsSync(path))
          throw new CliError(`${what}: ${path} is not there: make it first, or say -v, which does`, FAILED);
        return { mount: bind(path, destination, options, `--mount ${text}`) };
      }
      default:
        if (!source) throw new UsageError(`${what}: it needs src=`);
        return { mount: { type, source, destination, options } };
    }
  })();
  if (fields.size > 0)
    throw new UsageError(
      `${what}: ${[...fields.keys()].join(', ')} means nothing with type=${type}; there are type, src, dst, readonly; volume-nocopy, volume-label; bind-propagation, bind-recursive; tmpfs-size, tmpfs-mode; options`,
    );
  return made;
}

/** `DST[:OPTIONS]`. */
export function tmpfs(text: string): SpecMount {
  const [destination = '', options = ''] = text.split(':');
  if (!destination.startsWith('/'))
    throw new UsageError(`--tmpfs ${JSON.stringify(text)}: ${destination} must be an absolute path`);
  return {
    type: 'tmpfs',
    source: 'tmpfs',
    destination,
    options: ['nosuid', 'nodev', 'noexec', ...options.split(',').filter(Boolean)],
  };
}

function bind(source: string, destination: string, given: readonly string[], what: string): SpecMount {
  const unknown = given.find(
    (option) =>
      !['rw', 'ro', 'rbind', 'bind', 'nosuid', 'nodev', 'noexec', 'exec', ...WITHOUT_EFFECT, ...PROPAGATION].includes(
        option,
      ),
  );
  if (unknown !== undefined)
    throw new UsageError(
      `${what}: ${unknown} is no option of a bind mount; there are ro, rw, nosuid, nodev, noexec, ${PROPAGATION.join(', ')}`,
    );
  const options = given.filter((option) => ![...WITHOUT_EFFECT, 'rbind', 'bind'].includes(option));
  return {
    type: 'bind',
    source,
    destination,
    options: [
      given.includes('bind') ? 'bind' : 'rbind',
      ...(options.some((option) => PROPAGATION.includes(option)) ? [] : ['rprivate']),
      ...options,
    ],
  };
}
