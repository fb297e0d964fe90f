/** Names of files in archives of images, as their manifests name them too. They are bytes; a manifest's are UTF-8. */
import { posix } from 'node:path';
import type { ByteString } from '../sys/byte-string.js';
import type { Entry } from './tar-reader.js';

/** A name without what may stand before and between its words. */
export function nameInArchive(name: ByteString): ByteString {
  return posix.normalize(name).replace(/^\/+/, '') as ByteString;
}

/** Where a symbolic link of an archive leads inside of it: `docker save` makes them for layers that images have in common. */
export function linkInArchive({ name, linkname }: Pick<Entry, 'name' | 'linkname'>): ByteString {
  return posix.join(posix.dirname(nameInArchive(name)), linkname) as ByteString;
}
