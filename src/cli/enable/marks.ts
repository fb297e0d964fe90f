/** How `disable` knows what `enable` wrote, and whether somebody has edited it since: a first line with the digest of the rest. */
import { createHash } from 'node:crypto';

const SAYS = 'Written by `hawser shim enable`, removed by `hawser shim disable`';
const FILE = /^# Written by `hawser shim enable`, [^\n]*; sha256 ([0-9a-f]{16})\n/;
const BLOCK =
  /^# `hawser shim enable --runtime-class (\S+)`, until "end of" it; sha256 ([0-9a-f]{16})(, made this file)?(, ended the line before)?\n([^]*?)^# end of `hawser shim enable --runtime-class \1`\n/gm;

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Whose a file is. */
export type Origin = 'ours' | 'edited' | 'foreign';

/** A whole file of ours, in a language whose comments begin with #. */
export function sealed(body: string): string {
  return `# ${SAYS}; sha256 ${digest(body)}\n${body}`;
}

export function originOf(text: string): Origin {
  const [line, sum] = FILE.exec(text) ?? [];
  if (line === undefined) return 'foreign';
  return digest(text.slice(line.length)) === sum ? 'ours' : 'edited';
}

/** Lines of ours in a file that is somebody else's. */
export interface Block {
  /** The runtime class that they are for. */
  readonly name: string;
  readonly body: string;
  readonly isEdited: boolean;
  /** There was no file before. */
  readonly madeFile: boolean;
  readonly start: number;
  readonly end: number;
}

export function blocksIn(text: string): Block[] {
  return [...text.matchAll(BLOCK)].map((match) => ({
    name: match[1]!,
    body: match[5]!,
    isEdited: digest(match[5]!) !== match[2],
    madeFile: match[3] !== undefined,
    // Where the line before had no end, it has none again afterwards.
    start: match[4] === undefined ? match.index : match.index - 1,
    end: match.index + match[0].length,
  }));
}

export function withoutBlock(text: string, name: string): string {
  const found = blocksIn(text).find((one) => one.name === name);
  return found === undefined ? text : text.slice(0, found.start) + text.slice(found.end);
}

/** With a block at its end, instead of the one of that name that it has. */
export function withBlock(text: string, name: string, body: string, madeFile = false): string {
  const rest = withoutBlock(text, name);
  const endsLine = rest !== '' && !rest.endsWith('\n');
  const notes = `${madeFile ? ', made this file' : ''}${endsLine ? ', ended the line before' : ''}`;
  const command = `\`hawser shim enable --runtime-class ${name}\``;
  return `${rest}${endsLine ? '\n' : ''}# ${command}, until "end of" it; sha256 ${digest(body)}${notes}\n${body}# end of ${command}\n`;
}
