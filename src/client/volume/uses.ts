/** Which containers have which volumes. */
import type { Services } from '../grpc/services.js';
import { NAME } from '../nerdctl.js';
import { recordOf } from '../record.js';
import type { CallOptions } from '../types/calls.js';
import type { ContainerRecord } from '../types/container.js';
import type { Uses } from './held.js';
import { mountPointsOf } from './mount-points.js';
import type { VolumeStore } from './store.js';

/** By what is mounted, and by what nerdctl writes down. */
export function volumesOf(store: VolumeStore, { spec, labels }: Pick<ContainerRecord, 'spec' | 'labels'>): string[] {
  const mounted = (spec.mounts ?? []).flatMap(({ source = '' }) => store.nameOf(source) ?? []);
  const named = mountPointsOf(labels).flatMap(({ Type, Name }) => (Type === 'volume' && Name ? [Name] : []));
  return [...new Set([...mounted, ...named])];
}

export async function usesOf(services: Services, store: VolumeStore, options: CallOptions = {}): Promise<Uses> {
  const { containers } = await services.containers.List({}, options);
  const uses = new Map<string, string[]>();
  for (const record of containers.map(recordOf)) {
    const name = record.labels[NAME] ?? record.id;
    for (const volume of volumesOf(store, record)) uses.set(volume, [...(uses.get(volume) ?? []), name]);
  }
  return uses;
}
