/** Mounts, as docker's -v, --mount and --tmpfs say them. */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { SpecMount } from '../../client/index.js';
import { UsageError } from '../errors.js';

const PROPAGATION = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'];

/** `SRC:DST[:OPTIONS]`; a directory of the host that is missing is made, as docker does. */
export function volume(text: string): SpecMount {
  const [source, destination, options, more] = text.split(':');
  if (!source || !destination || more !== undefined)
    throw new UsageError(`--volume ${JSON.stringify(text)}: it is SRC:DST or SRC:DST:OPTIONS`);
  if (!/^[./~]/.test(source))
    throw new UsageError(
      `--volume ${JSON.stringify(text)}: there are no named volumes here: give a path, as /srv/${source} or ./${source}`,
    );
  if (!destination.startsWith('/'))
    throw new UsageError(`--volume ${JSON.stringify(text)}: ${destination} must be an absolute path`);
  const path = resolve(source);
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    // A file can be bound as well.
    if (!['EEXIST', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  return bind(path, destination, (options ?? '').split(',').filter(Boolean), `--volume ${text}`);
}

/** `type=bind,src=/a,dst=/b,readonly`, with docker's other names for these. */
export function mount(text: string): SpecMount {
  const fields = new Map(
    text.split(',').map((part) => {
      const [key = '', ...value] = part.split('=');
      return [key.trim().toLowerCase(), value.join('=')] as const;
    }),
  );
  const take = (...names: string[]): string | undefined => {
    const values = names.filter((name) => fields.has(name)).map((name) => fields.get(name)!);
    for (const name of names) fields.delete(name);
    return values[0];
  };
  const flag = (...names: string[]): boolean => {
    const value = take(...names);
    return value !== undefined && value !== 'false' && value !== '0';
  };
  const type = take('type') ?? 'bind';
  const source = take('source', 'src');
  const destination = take('destination', 'dst', 'target');
  if (!destination?.startsWith('/'))
    throw new UsageError(`--mount ${JSON.stringify(text)}: it needs dst= and an absolute path`);
  const options = (take('options', 'o') ?? '').split(':').filter(Boolean);
  if (flag('readonly', 'ro')) options.push('ro');
  const propagation = take('bind-propagation');
  if (propagation !== undefined) options.push(propagation);
  if (type === 'tmpfs') {
    const [size, mode] = [take('tmpfs-size'), take('tmpfs-mode')];
    if (size !== undefined) options.push(`size=${size}`);
    if (mode !== undefined) options.push(`mode=${mode}`);
  }
  if (fields.size > 0)
    throw new UsageError(
      `--mount ${JSON.stringify(text)}: ${[...fields.keys()].join(', ')} means nothing here; there are type, src, dst, readonly, bind-propagation, tmpfs-size, tmpfs-mode, options`,
    );
  if (type === 'volume')
    throw new UsageError(`--mount ${JSON.stringify(text)}: there are no named volumes here: use type=bind and a path`);
  if (type === 'tmpfs') return tmpfs([destination, options.join(',')].filter(Boolean).join(':'));
  if (source === undefined) throw new UsageError(`--mount ${JSON.stringify(text)}: it needs src=`);
  return type === 'bind'
    ? bind(resolve(source), destination, options, `--mount ${text}`)
    : { type, source, destination, options };
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
      !['rw', 'ro', 'z', 'Z', 'rbind', 'bind', 'nosuid', 'nodev', 'noexec', 'exec', ...PROPAGATION].includes(option),
  );
  if (unknown !== undefined)
    throw new UsageError(
      `${what}: ${unknown} is no option of a bind mount; there are ro, rw, nosuid, nodev, noexec, ${PROPAGATION.join(', ')}`,
    );
  const options = given.filter((option) => !['z', 'Z', 'rbind', 'bind'].includes(option));
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
