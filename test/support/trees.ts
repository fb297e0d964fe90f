/** Directory trees as tests compare them: names are bytes, and so is all else that archives carry. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { attributesOf } from '../../src/oci/changes.js';
import { deviceOf } from '../../src/oci/copy-tree.js';
import { EMPTY, fromBytes, inside, toBytes, type ByteString } from '../../src/sys/byte-string.js';

/** What there is at each path, one a line of values: type and mode, owners, time, links' targets, contents, attributes, and which names are one file. */
export function treeOf(root: string): Map<ByteString, unknown[]> {
  const found = new Map<ByteString, unknown[]>();
  const firsts = new Map<bigint, ByteString>();
  const visit = (path: ByteString): void => {
    const file = Buffer.concat([Buffer.from(`${root}/`), toBytes(path)]);
    const stat = lstatSync(file, { bigint: true });
    const first = firsts.get(stat.ino) ?? path;
    firsts.set(stat.ino, first);
    const content = stat.isFile()
      ? fromBytes(readFileSync(file))
      : stat.isSymbolicLink()
        ? readlinkSync(file, 'latin1')
        : stat.isCharacterDevice() || stat.isBlockDevice()
          ? deviceOf(stat)
          : '';
    found.set(path, [
      stat.mode.toString(8),
      stat.uid,
      stat.gid,
      path === '' ? 0n : stat.mtimeNs,
      first,
      content,
      [...attributesOf(file)].map(([name, value]) => [name, value.toString('hex')]),
    ]);
    if (stat.isDirectory())
      for (const name of (readdirSync(file, 'latin1') as ByteString[]).sort()) visit(inside(path, name));
  };
  visit(EMPTY);
  return found;
}
