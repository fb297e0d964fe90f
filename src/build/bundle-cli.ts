/** Bundles the command line into dist/hawser.mjs, and what only some commands need into dist/cli-parts/. Run by `make build`. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { noteLicenses } from './licenses.js';
import { revision, top, version } from './version.js';

rmSync(join(top, 'dist/cli-parts'), { recursive: true, force: true });
const { metafile } = await build({
  metafile: true,
  absWorkingDir: top,
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  charset: 'ascii',
  minify: true,
  keepNames: true,
  legalComments: 'none',
  logLevel: 'warning',
  entryPoints: [{ in: 'src/cli/main.ts', out: 'hawser' }],
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  chunkNames: 'cli-parts/[name]-[hash]',
  alias: { long: './src/build/no-long.cjs' },
  define: {
    HAWSER_ADDON: 'HAWSER_ADDON_PATH',
    HAWSER_VERSION: JSON.stringify(version),
    HAWSER_REVISION: JSON.stringify(revision() ?? ''),
  },
  // Libraries that are CommonJS find what they need of it here. Parts lie in a directory of their own.
  banner: {
    js: [
      "import{createRequire as hawserRequire}from'node:module';import{fileURLToPath as hawserPath}from'node:url';",
      'const require=hawserRequire(import.meta.url),__filename=hawserPath(import.meta.url),__dirname=hawserPath(new URL(".",import.meta.url)).slice(0,-1);',
      'const HAWSER_ADDON_PATH=__dirname.replace(/\\/cli-parts$/,"")+"/hawser_sys.node";',
    ].join(''),
  },
});
noteLicenses('hawser', metafile);
