/** What a container's label says of its mounts, in the form that nerdctl writes and reads. */
import type { SpecMount } from '../spec/types.js';

/** nerdctl's: it takes a volume for used by the containers that name it there. */
export const MOUNTS = 'nerdctl/mounts';
/** nerdctl's: anonymous volumes that were made for the container. */
export const ANONYMOUS_VOLUMES = 'nerdctl/anonymous-volumes';
/** A label of containerd's has so many bytes, its name among them. */
const MAX_LABEL = 4096;
const PROPAGATION = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'];

export interface MountPoint {
  readonly Type: string;
  readonly Name?: string;
  readonly Source: string;
  readonly Destination: string;
  readonly Driver?: string;
  readonly Mode: string;
  readonly RW: boolean;
  readonly Propagation: string;
}

/** @param volume name of the volume that it is of */
export function mountPointOf(mount: SpecMount, volume?: string): MountPoint {
  const { type = '', source = '', destination, options = [] } = mount;
  return {
    Type: volume === undefined ? type : 'volume',
    ...(volume === undefined ? {} : { Name: volume, Driver: 'local' }),
    Source: source,
    Destination: destination,
    Mode: options.filter((option) => !['ro', 'rw', 'bind', 'rbind'].includes(option)).join(','),
    RW: !options.includes('ro'),
    Propagation: volume === undefined ? (options.find((option) => PROPAGATION.includes(option)) ?? '') : '',
  };
}

/** As many as a label holds, the first ones first. Which volumes are used is seen by the specs, too. */
export function mountsLabel(points: readonly MountPoint[]): Record<string, string> {
  for (let count = points.length; count > 0; count--) {
    const value = JSON.stringify(points.slice(0, count));
    if (Buffer.byteLength(MOUNTS + value) <= MAX_LABEL) return { [MOUNTS]: value };
  }
  return {};
}

/** Empty where there is no such label, or none that can be read. */
export function mountPointsOf(labels: Readonly<Record<string, string>>): readonly MountPoint[] {
  return listOf(labels[MOUNTS]) as readonly MountPoint[];
}

/** Volumes that were made for a container that named none. */
export function anonymousOf(labels: Readonly<Record<string, string>>): readonly string[] {
  return listOf(labels[ANONYMOUS_VOLUMES]).filter((name) => typeof name === 'string');
}

function listOf(text: string | undefined): readonly unknown[] {
  try {
    const value: unknown = text === undefined ? [] : JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch (error) {
    // What another program has written there is none of ours to judge.
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}
