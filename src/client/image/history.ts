/** How an image was made, as its configuration says. */
import type { Manifest } from '../../oci/image.js';
import { readJson, type Scope } from './content.js';
import type { HistoryEntry } from './types.js';

interface Step {
  readonly created?: string;
  readonly created_by?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** The newest first. Layers that no step claims stand at the end. */
export async function historyOf(
  scope: Pick<Scope, 'services' | 'signal'>,
  { config, layers }: Manifest,
): Promise<HistoryEntry[]> {
  const steps = (await readJson<{ history?: Step[] }>(scope, config.digest)).history ?? [];
  const made = steps.filter(({ empty_layer: empty }) => empty !== true).length;
  const unclaimed = Array.from({ length: Math.max(0, layers.length - made) }, (): Step => ({}));
  let n = 0;
  return [...unclaimed, ...steps]
    .map(({ created, created_by: createdBy = '', comment = '', empty_layer: empty = false }): HistoryEntry => {
      const layer = empty ? undefined : layers[n++];
      return {
        created: created === undefined ? undefined : new Date(created),
        createdBy,
        comment,
        layer: layer?.digest,
        size: layer?.size ?? 0,
      };
    })
    .reverse();
}
