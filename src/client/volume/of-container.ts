/** The volumes of a container that is there. */
import { NotFoundError } from '../errors.js';
import type { ContainerRecord } from '../types/container.js';
import { readJournal } from './journal.js';
import { anonymousOf } from './mount-points.js';
import { volumesOf } from './uses.js';
import type { ClientVolumes } from './volumes.js';

/** Deletes a container by `remove`, and its anonymous volumes that no other container has. */
export async function deleteWithVolumes(
  volumes: ClientVolumes,
  record: ContainerRecord,
  remove: () => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { store } = volumes;
  const own = new Set(anonymousOf(record.labels));
  const names = volumesOf(store, record).filter(
    (name) => store.find(name) !== undefined && (own.has(name) || store.get(name).anonymous),
  );
  if (names.length === 0) return remove();
  await volumes.hold(signal, async (held) => {
    held.intend(names);
    try {
      await remove();
    } catch (error) {
      // Somebody else has been quicker, and may not have thought of them.
      if (error instanceof NotFoundError) await held.removeUnused(await volumes.users());
      throw error;
    }
    await held.removeUnused(await volumes.users());
  });
}

/** Whoever was filling one of its volumes, and was killed, has left a part of it in there. */
export async function finishFilling(
  volumes: ClientVolumes,
  record: ContainerRecord,
  signal: AbortSignal | undefined,
): Promise<void> {
  const names = new Set(volumesOf(volumes.store, record));
  if (names.size === 0) return;
  const { fills } = readJournal(volumes.store.staging);
  if (fills.some(({ volume }) => names.has(volume))) await volumes.hold(signal, () => Promise.resolve());
}
