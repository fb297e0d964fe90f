/**
 * Bundles the shim into dist/shim.bundle.js, one file with only what a shim needs, and what few containers need into
 * files of their own. Run by `make build`.
 */
import { copyFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build, type BuildOptions } from 'esbuild';
import { noteLicenses } from './licenses.js';
import { revision, top, version } from './version.js';

const shared = {
  metafile: true,
  absWorkingDir: top,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  // load.cjs runs the bundle as a script, in which there is no import().
  supported: { 'dynamic-import': false },
  charset: 'ascii',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  // Whole 64-bit numbers are written as two halves here, and none is read that a double does not hold; the package
  // would start a WebAssembly engine in every shim.
  alias: { long: './src/build/no-long.cjs' },
  define: {
    HAWSER_ADDON: 'HAWSER_ADDON_PATH',
    HAWSER_LIBRARY: '__dirname',
    HAWSER_VERSION: JSON.stringify(version),
    HAWSER_REVISION: JSON.stringify(revision() ?? 'unknown'),
    'import.meta.url': '"file:///"',
  },
} satisfies BuildOptions;

/** What few containers need, or only for a moment: loaded when it is. Each by its entry. */
const parts = [
  { name: 'failpoint', entry: 'src/shim/program/failpoint.ts' },
  { name: 'debug', entry: 'src/shim/debug/index.ts' },
  { name: 'upgrade', entry: 'src/shim/program/upgrade.ts' },
];

for (const { name, entry } of parts)
  noteLicenses(
    `shim.${name}`,
    (await build({ ...shared, entryPoints: [entry], outfile: `dist/shim.${name}.cjs` })).metafile,
  );
const { metafile } = await build({
  ...shared,
  entryPoints: ['src/shim/main.ts'],
  outfile: 'dist/shim.bundle.js',
  banner: { js: 'const HAWSER_ADDON_PATH=__dirname+"/hawser_sys.node";' },
  plugins: [
    {
      name: 'on-demand',
      setup(build) {
        // By the file that is meant, however it is written: `./index.js` is another one from each room.
        build.onResolve({ filter: /^\..*\.js$/ }, ({ path, resolveDir }) => {
          const file = resolve(resolveDir, path).replace(/\.js$/, '.ts');
          const part = parts.find(({ entry }) => join(top, entry) === file);
          return part && { path: `./shim.${part.name}.cjs`, external: true };
        });
      },
    },
  ],
});
noteLicenses('shim', metafile);
// For the monitor, which is to say what it runs.
writeFileSync(`${top}/dist/shim.version`, `${version} ${revision() ?? 'unknown'}\n`);
copyFileSync(`${top}/src/shim/load.cjs`, `${top}/dist/shim.cjs`);
