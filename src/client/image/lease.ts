/** Leases: what is made meanwhile stays until it belongs to something. */
import { createHash, randomBytes } from 'node:crypto';
import { quietly } from '../abort.js';
import { InvalidArgumentError, NotFoundError } from '../errors.js';
import { isGone, thisProcess } from './owner.js';
import type { Services } from '../grpc/services.js';
import type { Scope } from './content.js';

const EXPIRE = 'containerd.io/gc.expire';
/** On leases that keep what a pull has got which failed: the image's name. */
const KEPT = 'io.hawser/kept';
/** On that of a pull under way: the process. What one that was killed has left is as what a failed one has left. */
const OWNER = 'io.hawser/owner';
const DAY_MS = 24 * 3_600_000;

interface Leasing {
  /** What is there when it fails is kept for a day under this name, for the next try. Without it, it goes at once. */
  readonly keptFor?: string | undefined;
}

/** Does work under a lease of its own. */
export async function leased<T>(
  services: Services,
  signal: AbortSignal | undefined,
  work: (scope: Scope) => Promise<T>,
  { keptFor }: Leasing = {},
): Promise<T> {
  const labels = keptFor === undefined ? {} : { [KEPT]: mark(keptFor), [OWNER]: thisProcess() };
  const id = await makeLease(services, labels, signal);
  let failed: unknown;
  try {
    return await work({ services, signal, lease: id });
  } catch (error) {
    failed = error;
    throw error;
  } finally {
    if (keptFor !== undefined && !isFinal(failed))
      await quietly(failed === undefined ? forgetKept(services, keptFor) : keep(services, id, keptFor));
    // After a failure what nothing keeps is collected at once.
    await quietly(services.leases.Delete({ id, sync: failed !== undefined }));
  }
}

/** Another try would come to the same. */
function isFinal(error: unknown): boolean {
  return error instanceof NotFoundError || error instanceof InvalidArgumentError;
}

async function makeLease(
  services: Services,
  labels: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<string> {
  const id = `hawser-${randomBytes(8).toString('hex')}`;
  const expire = new Date(Date.now() + DAY_MS).toISOString();
  await services.leases.Create({ id, labels: { ...labels, [EXPIRE]: expire } }, { signal });
  return id;
}

/** A label's value that a filter can hold whatever the name is. */
function mark(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 32);
}

async function keep(services: Services, lease: string, name: string): Promise<void> {
  const { resources } = await services.leases.ListResources({ id: lease });
  if (resources.length === 0) return;
  const before = await keptLeases(services, name);
  const id = await makeLease(services, { [KEPT]: mark(name) }, undefined);
  for (const resource of resources) await services.leases.AddResource({ id, resource });
  for (const one of before) await services.leases.Delete({ id: one });
}

async function keptLeases(services: Services, name?: string): Promise<string[]> {
  const value = name === undefined ? '' : `==${mark(name)}`;
  const { leases } = await services.leases.List({ filters: [`labels."${KEPT}"${value}`] });
  return leases
    .filter(({ labels }) => labels?.[OWNER] === undefined || isGone(labels[OWNER]))
    .map(({ id }) => id ?? '');
}

/** Lets go of what pulls have left for their next try: of one image, or of all. @returns of how many pulls */
export async function forgetKept(services: Services, name?: string): Promise<number> {
  const ids = await keptLeases(services, name);
  for (const id of ids) await quietly(services.leases.Delete({ id, sync: true }));
  return ids.length;
}
