/**
 * The samples in the pages: every fenced block, and what a comment before it says of it, unseen by the reader.
 *
 *     <!-- not run: REASON -->          it can't be; there are few, and the tests count them
 *     <!-- file: NAME -->               it is the content of a file, for later samples of the page
 *     <!-- is: PATH -->                 it is, to the letter, a file of the repository
 *     <!-- hidden sh … -->              commands to be run at this place, too
 *     <!-- hidden ts … -->              what the next block of TypeScript needs before it
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Language = 'ts' | 'js' | 'sh' | 'toml' | 'json' | 'yaml';
const LANGUAGES: readonly string[] = ['ts', 'js', 'sh', 'toml', 'json', 'yaml'] satisfies Language[];

export interface Sample {
  /** Path of the page below the repository, and the line of the block. */
  page: string;
  line: number;
  language: Language;
  code: string;
  /** The code, with what is hidden before it. */
  whole: string;
  /** Why it is not run. */
  notRun?: string;
  file?: string;
  is?: string;
  isHidden: boolean;
}

/** All pages of the project, by path. The tests' own are for developers. */
export function pages(top: string): string[] {
  return ['README.md', ...markdownBelow(top, 'src')].sort();
}

function markdownBelow(top: string, dir: string): string[] {
  return readdirSync(join(top, dir), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(dir, name));
}

/** The samples of a page in their order. Throws for a block that says no language, `text` for what is no sample. */
export function samplesOf(top: string, page: string): Sample[] {
  const lines = readFileSync(join(top, page), 'utf8').split('\n');
  const samples: Sample[] = [];
  let said: Pick<Sample, 'notRun' | 'file' | 'is'> = {};
  let before = '';
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    const where = `${page}:${at + 1}`;
    if (line.startsWith('<!--')) {
      const end = lines.findIndex((one, n) => n >= at && one.includes('-->'));
      if (end < 0) throw new Error(`${where}: a comment without an end`);
      const comment = lines
        .slice(at, end + 1)
        .join('\n')
        .replace(/^<!--\s*|\s*-->\s*$/g, '');
      const [, key, text = ''] = /^(not run|file|is|hidden sh|hidden ts)(?::|\n|$)([\s\S]*)$/.exec(comment) ?? [];
      if (key === 'hidden sh')
        samples.push({ page, line: at + 1, language: 'sh', code: `${text}\n`, whole: `${text}\n`, isHidden: true });
      else if (key === 'hidden ts') before += `${text}\n`;
      else if (key === 'not run') said.notRun = text.trim();
      else if (key === 'file') said.file = text.trim();
      else if (key === 'is') said.is = text.trim();
      at = end;
      continue;
    }
    const fence = /^(\s*)```(.*)$/.exec(line);
    if (fence) {
      const [, indent = '', word = ''] = fence;
      const end = lines.findIndex((one, n) => n > at && one.trim() === '```');
      if (end < 0) throw new Error(`${where}: a block without an end`);
      if (word === '')
        throw new Error(`${where}: a block that says no language; give it one, or text for what is no sample`);
      if (word !== 'text') {
        if (!LANGUAGES.includes(word))
          throw new Error(
            `${where}: a sample in ${word}, which the tests can't run; they know ${LANGUAGES.join(', ')}, and text for what is no sample`,
          );
        const code =
          lines
            .slice(at + 1, end)
            .map((one) => one.slice(indent.length))
            .join('\n') + '\n';
        const language = word as Language;
        samples.push({
          page,
          line: at + 1,
          language,
          code,
          whole: language === 'ts' ? before + code : code,
          ...said,
          isHidden: false,
        });
        if (language === 'ts') before = '';
      }
      said = {};
      at = end;
      continue;
    }
    if (line.trim() !== '' && Object.keys(said).length > 0)
      throw new Error(`${where}: a comment about a block that does not follow: ${JSON.stringify(said)}`);
  }
  return samples;
}
