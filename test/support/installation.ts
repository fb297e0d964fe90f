/** Versions of the shim, installed one over the other as `make install` does it. */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { top } from './daemons.js';

const NAME = 'containerd-shim-runc-v2';
const DIST = join(top, 'dist');
/** The version of what was built. */
export const { version: BUILT } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { version: string };

/** What a version is made of: files of the library, and the program. */
export type Edit = (name: string, content: Buffer) => Buffer;

export class Installation {
  readonly binary: string;
  readonly library: string;

  /** @param dir where it lies; it need not be there yet */
  constructor(dir: string) {
    this.library = dir;
    this.binary = join(dir, 'bin', NAME);
  }

  /** Each file gets its place by a rename, so what runs keeps what it has open. */
  install(version: string, edit: Edit = (_, content) => content): this {
    mkdirSync(join(this.library, 'bin'), { recursive: true });
    const parts = readdirSync(DIST).filter((name) =>
      /^(shim\.(?!cache)[a-z.]+|hawser_sys\.node|hawser-stand-in|find-node\.sh|node-version\.cjs)$/.test(name),
    );
    for (const name of parts) {
      const content = readFileSync(join(DIST, name));
      const text = name.startsWith('shim.')
        ? Buffer.from(content.toString('latin1').replaceAll(BUILT, version), 'latin1')
        : content;
      this.put(name, edit(name, text));
    }
    this.useNode(process.execPath);
    // As packages have it: it knows of no other place.
    this.put(`bin/${NAME}`, edit(NAME, readFileSync(join(top, 'npm', NAME))));
    return this;
  }

  /** Has shims run on this Node from now on. */
  useNode(program: string): this {
    rmSync(join(this.library, 'node'), { force: true });
    symlinkSync(program, join(this.library, 'node'));
    return this;
  }

  put(name: string, content: string | Buffer): void {
    const file = join(this.library, name);
    writeFileSync(`${file}.new`, content);
    chmodSync(`${file}.new`, 0o755);
    renameSync(`${file}.new`, file);
  }

  remove(): void {
    rmSync(this.library, { recursive: true });
  }
}

/** Puts one text in the place of another of the same length, which must be there. */
export function exchange(content: Buffer, from: string, to: string): Buffer {
  const at = content.indexOf(from);
  if (at === -1 || from.length !== to.length) throw new Error(`no ${from}, or ${to} is of another length`);
  const result = Buffer.from(content);
  result.write(to, at, 'latin1');
  return result;
}
