/** Mount options as words, and what mount(2) makes of them. */

/** Flags of mount(2). */
export const mountFlags = {
  RDONLY: 1, NOSUID: 2, NODEV: 4, NOEXEC: 8, SYNCHRONOUS: 16, REMOUNT: 32, MANDLOCK: 64, DIRSYNC: 128,
  NOATIME: 1024, NODIRATIME: 2048, BIND: 4096, REC: 16384, RELATIME: 1 << 21, STRICTATIME: 1 << 24,
} as const;

const f = mountFlags;

/** Each word: the flags it sets, or with a minus those it clears. */
const words = new Map<string, number>([
  ['async', -f.SYNCHRONOUS], ['atime', -f.NOATIME], ['bind', f.BIND], ['dev', -f.NODEV], ['diratime', -f.NODIRATIME],
  ['dirsync', f.DIRSYNC], ['exec', -f.NOEXEC], ['mand', f.MANDLOCK], ['noatime', f.NOATIME], ['nodev', f.NODEV],
  ['nodiratime', f.NODIRATIME], ['noexec', f.NOEXEC], ['nomand', -f.MANDLOCK], ['norelatime', -f.RELATIME],
  ['nostrictatime', -f.STRICTATIME], ['nosuid', f.NOSUID], ['rbind', f.BIND | f.REC], ['relatime', f.RELATIME],
  ['remount', f.REMOUNT], ['ro', f.RDONLY], ['rw', -f.RDONLY], ['strictatime', f.STRICTATIME], ['suid', -f.NOSUID],
  ['sync', f.SYNCHRONOUS],
]);

/** Splits options into flags and what the file system itself is told. Throws for those that need more than mount(2). */
export function parseOptions(options: readonly string[]): { set: number; data: string[] } {
  let set = 0;
  const data: string[] = [];
  for (const option of options) {
    const flag = words.get(option);
    if (flag === undefined) {
      if (option === 'loop' || option.startsWith('uidmap=') || option.startsWith('gidmap=') || option.startsWith('X-containerd.')) {
        throw new Error(`mount option ${option} is not supported`);
      }
      data.push(option);
    } else if (flag >= 0) set |= flag;
    else set &= ~-flag;
  }
  return { set, data };
}
