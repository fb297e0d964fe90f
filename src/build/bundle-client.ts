/**
 * Makes one module of what `Client.connect()` loads, of the compiled library: it is 150 files, each of which takes Node half a
 * millisecond to find. What a program may compare with (errors, codes) stays where all libraries have it. Run by `make lib`.
 */
import { rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { build, type BuildOptions } from 'esbuild';
import { top } from './version.js';

const dist = join(top, 'dist');
const CONNECT = 'client/connect.js';
const ENTRIES = ['api', 'client', 'runc', 'shim', 'ttrpc'].map((room) => `${room}/index.js`);

const settings = {
  absWorkingDir: dist,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  charset: 'ascii',
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
} satisfies BuildOptions;

/** The files that these lead to, without asking for what is loaded when somebody connects. */
async function filesOf(entries: readonly string[]): Promise<string[]> {
  const { metafile } = await build({
    ...settings,
    entryPoints: [...entries],
    outdir: 'nowhere',
    write: false,
    external: ['./connect.js'],
  });
  return Object.keys(metafile.inputs);
}

const shared = (await filesOf(['client/index.js'])).map((file) => join(dist, file));
const { metafile } = await build({
  ...settings,
  entryPoints: [CONNECT],
  outfile: CONNECT,
  allowOverwrite: true,
  // Its sources are in the package.
  sourcemap: true,
  sourcesContent: false,
  plugins: [
    {
      name: 'shared',
      setup: (build) =>
        build.onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
          const file = resolve(resolveDir, path);
          if (!shared.includes(file)) return undefined;
          const from = relative(join(dist, dirname(CONNECT)), file);
          return { path: from.startsWith('.') ? from : `./${from}`, external: true };
        }),
    },
  ],
});
// What is in it now, and of no other library.
const kept = new Set([CONNECT, ...(await filesOf(ENTRIES))]);
for (const file of Object.keys(metafile.inputs).filter((one) => !kept.has(one) && !one.startsWith('..')))
  for (const name of [file, `${file}.map`]) rmSync(join(dist, name), { force: true });
