/** A container's root file system as an archive. */
import { closeSync } from 'node:fs';
import { archiveTree } from '../../oci/layer-archive.js';
import { LiveTree } from '../../oci/live-tree.js';
import { EMPTY } from '../../sys/byte-string.js';
import { throwIfAborted } from '../abort.js';
import { toldOf } from './failure.js';
import { layersOf, openLayers, type Asking } from './layers.js';

/** As `docker export`: what is mounted in it (volumes, /proc and the like) is no part of it. */
export function exportFiles(asking: Asking): AsyncGenerator<Buffer> {
  return toldOf(`container ${asking.record.id}: export`, bytesOf(asking));
}

async function* bytesOf(asking: Asking): AsyncGenerator<Buffer> {
  const root = await openLayers(asking.record, await layersOf(asking));
  const tree = new LiveTree(root);
  try {
    const device = tree.stat(EMPTY)?.dev;
    for await (const chunk of archiveTree(tree, EMPTY, EMPTY, (_path, { dev }) => dev === device)) {
      throwIfAborted(asking.signal);
      yield chunk;
    }
  } finally {
    tree.close();
    closeSync(root);
  }
}
