/** Mounts of snapshots for the time of one piece of work. */
import { closeSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as errdefs from '../api/errdefs.js';
import { mountFlags, parseOptions } from './mount-options.js';
import { fitLowers } from './overlay.js';
import { mount, mountApart, unmount } from '../sys/index.js';
import type { containerd } from '../api/full.js';

type Mount = containerd.types.Mount.$Properties;

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** Runs something with the mounts at a directory, and unmounts them. */
export async function withMounts<R>(mounts: readonly Mount[], work: (dir: string) => Promise<R>): Promise<R> {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-mount-'));
  let mounted = 0;
  try {
    for (const one of mounts) {
      await mountOne(one, dir);
      mounted++;
    }
    return await work(dir);
  } finally {
    for (; mounted > 0; mounted--) await unmount(dir, MNT_DETACH | UMOUNT_NOFOLLOW);
    rmdirSync(dir);
  }
}

/** The same for reading: nothing is written to an upper directory, which a container may be using. */
export function withReadOnlyMounts<R>(mounts: readonly Mount[], work: (dir: string) => Promise<R>): Promise<R> {
  return withMounts(mounts.map(readOnly), work);
}

/** Like {@link withReadOnlyMounts}, with a mount that nobody else sees, and that is gone when this process is, even when it is killed. */
export async function withMountsApart<R>(mounts: readonly Mount[], work: (dir: string) => Promise<R>): Promise<R> {
  // No snapshotter has several.
  if (mounts.length !== 1) return withReadOnlyMounts(mounts, work);
  const fd = await openApart(mounts);
  try {
    return await work(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

/**
 * The same, for as long as the caller likes.
 *
 * @param writable what is written goes where the mounts say, which nobody else may be using then
 * @returns a descriptor of the mount's root (O_PATH), to be closed by the caller
 */
export async function openApart(mounts: readonly Mount[], { writable = false } = {}): Promise<number> {
  const [only, ...more] = writable ? mounts : mounts.map(readOnly);
  if (only === undefined || more.length > 0) throw errdefs.notImplemented(`${mounts.length} mounts at one place`);
  return withOptions(only, ({ set, data, cwd }) => mountApart(only.source ?? '', only.type ?? '', set, data, cwd));
}

interface Options {
  readonly set: number;
  readonly data: string;
  readonly cwd?: string | undefined;
}

/** Gives work what mount(2) takes. */
async function withOptions<R>(one: Mount, work: (options: Options) => Promise<R>): Promise<R> {
  const { set, data, loop, mapped } = parseOptions(one.options ?? []);
  if (loop || mapped !== undefined || one.target)
    throw errdefs.notImplemented(
      `mounts with loop devices, shifted owners or targets inside, for a diff (${one.type ?? ''} of ${one.source ?? ''})`,
    );
  const undo: (() => void)[] = [];
  try {
    const { data: fitted, cwd } =
      one.type === 'overlay' ? fitLowers(data, join(tmpdir(), 'hawser-lowers-'), undo) : { data, cwd: undefined };
    return await work({ set, data: fitted.join(','), cwd });
  } finally {
    for (const step of undo.reverse()) step();
  }
}

function mountOne(one: Mount, dir: string): Promise<void> {
  return withOptions(one, async ({ set, data, cwd }) => {
    const bind = (set & mountFlags.BIND) !== 0;
    await mount(
      one.source ?? '',
      dir,
      one.type ?? '',
      bind ? set & (mountFlags.BIND | mountFlags.REC) : set,
      data,
      cwd,
    );
    // A bind takes no other flags but in a second call.
    if (bind && (set & mountFlags.RDONLY) !== 0)
      await mount('', dir, '', mountFlags.REMOUNT | mountFlags.BIND | mountFlags.RDONLY, '');
  });
}

function readOnly(one: Mount): Mount {
  const options = one.options ?? [];
  if (one.type !== 'overlay') return { ...one, options: [...options.filter((option) => option !== 'rw'), 'ro'] };
  const upper = valueOf(options, 'upperdir');
  const lowers = valueOf(options, 'lowerdir') ?? '';
  const others = options.filter((option) => !/^(?:upperdir|workdir|lowerdir)=/.test(option));
  return { ...one, options: [...others, 'ro', `lowerdir=${upper === undefined ? lowers : `${upper}:${lowers}`}`] };
}

/** What an option of an overlay says. */
export function valueOf(options: readonly string[], name: string): string | undefined {
  return options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** An empty directory, for a side that has no mounts. */
export async function withEmpty<R>(work: (dir: string) => Promise<R>): Promise<R> {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-empty-'));
  try {
    return await work(dir);
  } finally {
    rmdirSync(dir);
  }
}
