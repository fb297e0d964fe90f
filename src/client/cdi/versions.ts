/** Versions of the Container Device Interface's specification: a file says which it is written for. */
import type { CdiEdits, CdiFile } from './types.js';

/** Those that there are, the oldest first. */
export const CDI_VERSIONS: readonly string[] = [
  '0.1.0',
  '0.2.0',
  '0.3.0',
  '0.4.0',
  '0.5.0',
  '0.6.0',
  '0.7.0',
  '0.8.0',
  '1.0.0',
  '1.1.0',
];

/** What a version has brought, the newest first: a file that says such a thing says that version, or a newer one. */
const BROUGHT: readonly (readonly [version: string, by: (file: CdiFile, edits: CdiEdits) => boolean])[] = [
  [
    '1.1.0',
    (_file, { netDevices, intelRdt }) =>
      netDevices.length > 0 || intelRdt?.schemata !== undefined || intelRdt?.enableMonitoring === true,
  ],
  ['0.7.0', (_file, { intelRdt, additionalGids }) => intelRdt !== undefined || additionalGids.length > 0],
  [
    '0.6.0',
    ({ kind, annotations, devices }) =>
      kind.replace(/^[^/]*\//, '').includes('.') ||
      [annotations, ...devices.map((one) => one.annotations)].some((one) => Object.keys(one).length > 0),
  ],
  [
    '0.5.0',
    ({ devices }, { deviceNodes }) =>
      devices.some(({ name }) => /^\d/.test(name)) || deviceNodes.some(({ hostPath }) => hostPath !== undefined),
  ],
  ['0.4.0', (_file, { mounts }) => mounts.some(({ type }) => type !== undefined)],
];

/** The oldest version that has all that a file says. */
export function neededVersion(file: CdiFile): string {
  const all = [file.edits, ...file.devices.map(({ edits }) => edits)];
  return BROUGHT.find(([, by]) => all.some((edits) => by(file, edits)))?.[0] ?? '0.3.0';
}
