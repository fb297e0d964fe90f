/** Mount options as words, and what mount(2) makes of them. */

/** Flags of mount(2). */
export const mountFlags = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  SYNCHRONOUS: 16,
  REMOUNT: 32,
  MANDLOCK: 64,
  DIRSYNC: 128,
  NOATIME: 1024,
  NODIRATIME: 2048,
  BIND: 4096,
  REC: 16384,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  STRICTATIME: 1 << 24,
} as const;

const f = mountFlags;

/** Each word: the flags it sets, or with a minus those it clears. */
const words = new Map<string, number>([
  ['async', -f.SYNCHRONOUS],
  ['atime', -f.NOATIME],
  ['bind', f.BIND],
  ['defaults', 0],
  ['dev', -f.NODEV],
  ['diratime', -f.NODIRATIME],
  ['dirsync', f.DIRSYNC],
  ['exec', -f.NOEXEC],
  ['mand', f.MANDLOCK],
  ['noatime', f.NOATIME],
  ['nodev', f.NODEV],
  ['nodiratime', f.NODIRATIME],
  ['noexec', f.NOEXEC],
  ['nomand', -f.MANDLOCK],
  ['norelatime', -f.RELATIME],
  ['nostrictatime', -f.STRICTATIME],
  ['nosuid', f.NOSUID],
  ['rbind', f.BIND | f.REC],
  ['relatime', f.RELATIME],
  ['remount', f.REMOUNT],
  ['ro', f.RDONLY],
  ['rw', -f.RDONLY],
  ['strictatime', f.STRICTATIME],
  ['suid', -f.NOSUID],
  ['sync', f.SYNCHRONOUS],
]);

/**
 * Who else sees what is mounted here later; each takes a call of its own (mount_namespaces(7)). containerd hands these
 * words to the file system, where a bind ignores them and most others fail.
 */
const propagations = new Map<string, number>([
  ['private', f.PRIVATE],
  ['rprivate', f.PRIVATE | f.REC],
  ['shared', f.SHARED],
  ['rshared', f.SHARED | f.REC],
  ['slave', f.SLAVE],
  ['rslave', f.SLAVE | f.REC],
  ['unbindable', f.UNBINDABLE],
  ['runbindable', f.UNBINDABLE | f.REC],
]);

export interface MountOptions {
  /** Flags for mount(2), propagation not among them. */
  set: number;
  /** Changes of propagation, in order. */
  propagation: number[];
  /** For the file system itself. */
  data: string[];
  /** The source is a file, to be mounted by way of a loop device. */
  loop: boolean;
  /** The loop device passes by the cache of the file system that its file lies in. */
  directIo: boolean;
  /** Owners shifted as these maps say, `inside:outside:count[,…]`; both are there or neither. */
  mapped?: { uids: string; gids: string };
}

/** Sorts options by who has to do something about them. */
export function parseOptions(options: readonly string[]): MountOptions {
  const result: MountOptions = { set: 0, propagation: [], data: [], loop: options.includes('loop'), directIo: false };
  let uids: string | undefined;
  let gids: string | undefined;
  for (const option of options) {
    const flag = words.get(option);
    const propagation = propagations.get(option);
    if (flag !== undefined) {
      if (flag >= 0) result.set |= flag;
      else result.set &= ~-flag;
    } else if (propagation !== undefined) result.propagation.push(propagation);
    else if (option.startsWith('uidmap=')) uids = option.slice('uidmap='.length);
    else if (option.startsWith('gidmap=')) gids = option.slice('gidmap='.length);
    else if (result.loop && option === 'direct-io') result.directIo = true;
    else if (option.startsWith('X-containerd.')) {
      throw new Error(
        `mount option ${option} is for the daemon's mount manager, which should have taken it; the snapshotter needs a newer containerd`,
      );
    } else if (option !== 'loop') result.data.push(option);
  }
  if ((uids === undefined) !== (gids === undefined))
    throw new Error('mount options uidmap= and gidmap= go together: one of them is missing');
  if (uids !== undefined && gids !== undefined) result.mapped = { uids, gids };
  return result;
}

/** The kernel's own words for a mount that is there, as in mountinfo; those it knows and mount(2) doesn't are passed over. */
export function flagsOf(options: string): number {
  return options.split(',').reduce((flags, word) => flags | Math.max(0, words.get(word) ?? 0), 0);
}
