/** `--format`: a table, JSON lines, or a template, over records whose keys are docker's. */
import { stringifyExact } from '../../oci/json.js';
import { compile } from './template.js';
import { align, table } from './table.js';

/** A column of a table: its heading, and the key of what stands below it. */
export type Columns = Readonly<Record<string, string>>;

export interface ListOptions {
  readonly format?: string | undefined;
  readonly quiet?: boolean | undefined;
  /** The key that is printed alone with --quiet. */
  readonly idKey: string;
}

/** Records in the form that was asked for; a table with the given columns when nothing was. */
export function list(
  records: readonly Record<string, unknown>[],
  columns: Columns,
  { format, quiet, idKey }: ListOptions,
): string {
  if (quiet && format === undefined) return records.map((record) => `${String(record[idKey])}\n`).join('');
  if (format === undefined || format === 'table')
    return table(
      Object.keys(columns),
      records.map((record) => Object.values(columns).map((key) => cell(record[key]))),
    );
  if (format === 'json') return records.map((record) => `${stringifyExact(record)}\n`).join('');
  const [, template] = /^table\s+([^]*)$/.exec(format) ?? [];
  const render = compile(template ?? format);
  const lines = records.map(render);
  if (template === undefined) return lines.map((line) => `${line}\n`).join('');
  const headings = Object.fromEntries(Object.entries(columns).map(([heading, key]) => [key, heading]));
  const known = new Proxy(headings, {
    get: (found, key) => (typeof key === 'string' ? (found[key] ?? key.toUpperCase()) : undefined),
    has: () => true,
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
  });
  return align([render(known), ...lines].map((line) => line.split('\t')));
}

/** One record: a template's words, or JSON. */
export function one(record: unknown, format: string | undefined): string {
  return format === undefined || format === 'json'
    ? `${stringifyExact(record, format === undefined ? 4 : 0)}\n`
    : `${compile(format)(record)}\n`;
}

function cell(value: unknown): string {
  return value == null ? '' : typeof value === 'string' ? value : stringifyExact(value);
}
