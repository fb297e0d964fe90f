import { lstat, readdir } from 'node:fs/promises';
import { withTree } from '../../oci/tree.js';
import { EMPTY, inside, type ByteString } from '../../sys/byte-string.js';

const SECTOR = 512;

/** What a directory takes up: bytes on disk, and inodes, a file with several names counted once. */
export function diskUsage(dir: string): Promise<{ size: number; inodes: number }> {
  return withTree(dir, async (tree) => {
    const seen = new Set<string>();
    let size = 0;
    const waiting: ByteString[] = [EMPTY];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      try {
        const stat = await lstat(tree.on(path));
        const inode = `${stat.dev}:${stat.ino}`;
        if (seen.has(inode)) continue;
        seen.add(inode);
        size += stat.blocks * SECTOR;
        if (stat.isDirectory())
          for (const name of (await readdir(tree.on(path), 'latin1')) as ByteString[]) waiting.push(inside(path, name));
      } catch (error) {
        // A container may be at work in it.
        if (path === '' || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    return { size, inodes: seen.size };
  });
}
