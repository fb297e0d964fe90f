/** Field masks as containerd reads them: paths of whole fields, and `FIELD.KEY` for one entry of a map. */
import { errdefs } from '../../api/full.js';

/** Of any record. */
export type Labels = Record<string, string>;
type Setter = (key: string | undefined) => void;

/**
 * Applies what the paths name. `fields` has a function for each field that may change: it is called with a map's key, or
 * without one for the whole field.
 *
 * @param maps fields of which single entries may be named
 * @throws InvalidArgument for any other path
 */
export function applyMask(
  paths: readonly string[],
  what: string,
  fields: Readonly<Record<string, Setter>>,
  maps: readonly string[] = ['labels'],
): void {
  const steps = paths.map((path): (() => void) => {
    const map = maps.find((name) => path.startsWith(`${name}.`));
    const set = Object.hasOwn(fields, map ?? path) ? fields[map ?? path] : undefined;
    if (set === undefined) throw errdefs.invalidArgument(`cannot update ${JSON.stringify(path)} field on ${what}`);
    return () => set(map === undefined ? undefined : path.slice(map.length + 1));
  });
  for (const step of steps) step();
}

/** A map after an update of all of it, or of one key. An entry that the new one lacks goes. */
export function replaceEntries<V>(
  old: Record<string, V> | null | undefined,
  given: Record<string, V> | null | undefined,
  key: string | undefined,
): Record<string, V> {
  if (key === undefined) return { ...given };
  const { [key]: _, ...rest } = old ?? {};
  const value = given != null && Object.hasOwn(given, key) ? given[key] : undefined;
  return value === undefined ? rest : { ...rest, [key]: value };
}

/** Labels as they are kept: an empty value is none, as in containerd's store. */
export function kept(labels: Labels | null | undefined): Labels {
  return Object.fromEntries(Object.entries(labels ?? {}).filter(([, value]) => value !== ''));
}
