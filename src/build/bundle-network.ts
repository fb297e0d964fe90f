/** Bundles the hook that connects containers with networks into dist/hawser-network.mjs. Run by `make build`. */
import { build } from 'esbuild';
import { noteLicenses } from './licenses.js';
import { top } from './version.js';

const { metafile } = await build({
  metafile: true,
  absWorkingDir: top,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  charset: 'ascii',
  minify: true,
  keepNames: true,
  legalComments: 'none',
  logLevel: 'warning',
  entryPoints: ['src/client/network/hook/main.ts'],
  outfile: 'dist/hawser-network.mjs',
  alias: { long: './src/build/no-long.cjs' },
  define: { HAWSER_ADDON: 'HAWSER_ADDON_PATH' },
  banner: {
    js: [
      "import{createRequire as hawserRequire}from'node:module';import{fileURLToPath as hawserPath}from'node:url';",
      'const require=hawserRequire(import.meta.url),__dirname=hawserPath(new URL(".",import.meta.url)).slice(0,-1);',
      'const HAWSER_ADDON_PATH=__dirname+"/hawser_sys.node";',
    ].join(''),
  },
});
noteLicenses('hawser-network', metafile);
