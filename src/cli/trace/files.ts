/** The spans as files: Chrome's trace events, and a picture. */
import { writeFileSync } from 'node:fs';
import { CliError, FAILED, UsageError } from '../errors.js';
import { inOrder, type Span, type Witness } from './spans.js';

const WITNESSES: readonly Witness[] = ['client', 'daemon', 'shim', 'container'];
const FORMS: Readonly<Record<string, (title: string, spans: readonly Span[]) => string>> = {
  json: chromeTrace,
  svg: picture,
};

/** @throws UsageError for a file whose form its name doesn't say */
export function checkOutput(path: string): void {
  formOf(path);
}

export function writeTrace(path: string, title: string, spans: readonly Span[]): void {
  try {
    writeFileSync(path, formOf(path)(title, spans));
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`--output ${path} cannot be written: ${(error as Error).message}`, FAILED, { cause: error });
  }
}

function formOf(path: string): (title: string, spans: readonly Span[]) => string {
  const form = FORMS[path.split('.').at(-1)!.toLowerCase()];
  if (form === undefined) throw new UsageError(`--output ${path}: its name must end with .json or .svg`, 'trace');
  return form;
}

/** For chrome://tracing, Perfetto and speedscope; times are microseconds from the beginning. */
export function chromeTrace(title: string, spans: readonly Span[]): string {
  const ordered = inOrder(spans);
  const zero = ordered[0]?.start ?? 0;
  const micros = (ms: number): number => Math.round(ms * 1e6) / 1000;
  const thread = (witness: Witness): number => WITNESSES.indexOf(witness) + 1;
  return `${JSON.stringify(
    {
      displayTimeUnit: 'ms',
      otherData: { title, begin: new Date(zero).toISOString() },
      traceEvents: [
        { name: 'process_name', ph: 'M', pid: 1, args: { name: title } },
        ...WITNESSES.map((witness) => ({
          name: 'thread_name',
          ph: 'M',
          pid: 1,
          tid: thread(witness),
          args: { name: witness },
        })),
        ...ordered.map(({ witness, name, start, end }) => ({
          name,
          cat: witness,
          ts: micros(start - zero),
          pid: 1,
          tid: thread(witness),
          ...(end > start ? { ph: 'X', dur: micros(end - start) } : { ph: 'i', s: 't' }),
        })),
      ],
    },
    undefined,
    1,
  )}\n`;
}

const [ROW, LEFT, WIDTH, TOP] = [20, 300, 760, 60];
const FILL: Readonly<Record<Witness, string>> = {
  client: '#2a9fb5',
  daemon: '#4a6fd4',
  shim: '#c79a1f',
  container: '#3f9a4d',
};

/** A drawing that any browser shows. */
export function picture(title: string, spans: readonly Span[]): string {
  const ordered = inOrder(spans);
  const zero = ordered[0]?.start ?? 0;
  const total = Math.max(1, ...ordered.map(({ end }) => end - zero));
  const x = (ms: number): string => (LEFT + (ms / total) * WIDTH).toFixed(1);
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10_000].find((one) => total / one <= 10) ?? total;
  const height = TOP + ordered.length * ROW + 20;
  const ticks = Array.from({ length: Math.floor(total / step) + 1 }, (_, i) => i * step);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 90}" height="${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="10" y="22" font-size="15">${escape(title)}</text>
${ticks.map((ms) => `<line x1="${x(ms)}" y1="${TOP - 8}" x2="${x(ms)}" y2="${height - 10}" stroke="#ddd"/><text x="${x(ms)}" y="${TOP - 14}" text-anchor="middle" fill="#666">${ms} ms</text>`).join('\n')}
${ordered
  .map(({ witness, name, start, end }, i) => {
    const y = TOP + i * ROW;
    const took = end > start ? `${(end - start).toFixed(1)} ms` : '';
    return (
      `<text x="10" y="${y + 13}" fill="#666">${witness}</text><text x="80" y="${y + 13}">${escape(name)}</text>` +
      (end > start
        ? `<rect x="${x(start - zero)}" y="${y + 3}" width="${Math.max(1, ((end - start) / total) * WIDTH).toFixed(1)}" height="${ROW - 7}" fill="${FILL[witness]}"/><text x="${(Number(x(end - zero)) + 4).toFixed(1)}" y="${y + 13}" fill="#333">${took}</text>`
        : `<circle cx="${x(start - zero)}" cy="${y + 9}" r="4" fill="${FILL[witness]}"/>`)
    );
  })
  .join('\n')}
</svg>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
