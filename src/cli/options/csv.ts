/** A line of comma-separated values, by which docker reads what --mount is given. */
import { UsageError } from '../errors.js';

/**
 * Its fields. One that has a comma is put between double quotes, in which two of them stand for one.
 *
 * @param what named in the error, e.g. `--mount`
 */
export function fieldsOf(text: string, what: string): string[] {
  const fields: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const found = field.exec(text);
    if (found === null)
      throw new UsageError(`${what} ${JSON.stringify(text)}: a field with a quote must be between quotes as a whole`);
    fields.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? '');
    if (found[3] === '') return fields;
  }
}
