/** Puts devices of the Container Device Interface into a container's spec. */
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import type { Spec } from '../spec/types.js';
import { CDI_DIRECTORIES, readCdiDirectories, type CdiDevice, type CdiDevices } from './directories.js';
import { applyEdits } from './edits.js';

/** So many of what there is are named when something else is asked for. */
const NAMED = 20;

/**
 * @param names full ones, `VENDOR/CLASS=NAME`; one that is named twice is one device
 * @param directories where the files are; later ones come before earlier ones
 * @returns the spec with what the devices need, and what their files have for each of their devices
 * @throws InvalidArgumentError that says which one is not there, or cannot be had, and why
 */
export async function injectCdiDevices(
  spec: Spec,
  names: readonly string[],
  directories: readonly string[] = CDI_DIRECTORIES,
): Promise<Spec> {
  const found = await readCdiDirectories(directories);
  const devices = [...new Set(names)].map((name) => {
    const device = found.devices.get(name);
    if (device === undefined) throw invalid(`CDI device ${name}: ${whyMissing(name, found, directories)}`);
    return { ...device, name };
  });
  const files = new Set<CdiDevice['file']>();
  const edits = devices.flatMap(({ name, file, edits }) => {
    const first = !files.has(file);
    files.add(file);
    return [...(first ? [{ name, edits: file.edits }] : []), { name, edits }];
  });
  try {
    return applyEdits(spec, edits);
  } catch (error) {
    throw invalid(`CDI device ${(error as Error).message}`, error);
  }
}

function whyMissing(
  name: string,
  { devices, conflicts, problems }: CdiDevices,
  directories: readonly string[],
): string {
  const files = conflicts.get(name);
  if (files !== undefined)
    return `${files.join(' and ')} both describe it, in one directory: remove it from one of them`;
  const all = [...devices.keys()].sort();
  // Those of the same kind are what was meant, if there are any.
  const kind = name.slice(0, name.indexOf('=') + 1);
  const alike = all.filter((one) => one.startsWith(kind));
  const shown = (alike.length > 0 ? alike : all).slice(0, NAMED);
  const more = (alike.length > 0 ? alike : all).length - shown.length;
  const there =
    shown.length === 0
      ? 'where there is none'
      : `where there ${all.length === 1 ? 'is' : 'are'} ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  const broken = [...problems].map(([path, reason]) => `; ${path} cannot be used: ${reason}`).join('');
  return `it is described neither in a *.json nor in a *.yaml of ${directories.join(' and ')}, ${there}${broken}`;
}

function invalid(text: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError(Code.InvalidArgument, `${text}: invalid argument`, { cause });
}
