/** Where the log of a container is, as its task or its record says. */

/** What the command line keeps with a container: the URI of its log. */
export const LOG_LABEL = 'io.hawser/log';

/** A log file, as the shim's `file://` URI has it (docs/stdio.md). */
export interface LogPlace {
  readonly path: string;
  /** It has entries with times, or had them if the shim knows of such. */
  readonly hasEntries: boolean;
  /** In bytes, where it is rotated. */
  readonly maxSize: number | undefined;
  /** How many files are kept. */
  readonly maxFiles: number;
}

/** Undefined for what is no log file. */
export function logPlace(uri: string): LogPlace | undefined {
  const [, path, query = ''] = /^file:(?:\/\/[^/]*)?(\/[^?#]*)(?:\?([^#]*))?/.exec(uri) ?? [];
  if (path === undefined) return undefined;
  const values = new URLSearchParams(query);
  const [, digits, unit = ''] = /^(\d+)([kmg]?)$/i.exec(values.get('max-size') ?? '') ?? [];
  return {
    path: decodeURIComponent(path),
    hasEntries: values.get('format') === 'cri',
    maxSize:
      digits === undefined ? undefined : Number(digits) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase()),
    maxFiles: Number(values.get('max-files') ?? 5),
  };
}
