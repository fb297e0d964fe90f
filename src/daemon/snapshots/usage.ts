import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

const SECTOR = 512;

/** What a directory takes up: bytes on disk, and inodes, a file with several names counted once. */
export async function diskUsage(dir: string): Promise<{ size: number; inodes: number }> {
  const seen = new Set<string>();
  let size = 0;
  const visit = async (path: string): Promise<void> => {
    const stat = await lstat(path);
    const inode = `${stat.dev}:${stat.ino}`;
    if (seen.has(inode)) return;
    seen.add(inode);
    size += stat.blocks * SECTOR;
    if (!stat.isDirectory()) return;
    for await (const entry of await opendir(path)) {
      try {
        await visit(join(path, entry.name));
      } catch (error) {
        // A container may be at work in it.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  };
  await visit(dir);
  return { size, inodes: seen.size };
}
