/** Bundles the command line into dist/hawser.mjs, and what only some commands need into dist/cli-parts/. Run by `make build`. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { noteLicenses } from './licenses.js';
import { moduleSettings } from './module.js';
import { top } from './version.js';

rmSync(join(top, 'dist/cli-parts'), { recursive: true, force: true });
const { metafile } = await build({
  // Parts lie in a directory of their own.
  ...moduleSettings('__dirname.replace(/\\/cli-parts$/,"")'),
  splitting: true,
  entryPoints: [{ in: 'src/cli/main.ts', out: 'hawser' }],
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  chunkNames: 'cli-parts/[name]-[hash]',
});
noteLicenses('hawser', metafile);
