/**
 * Bundles the command line into dist/hawser*.bundle.js, which dist/hawser.cjs loads with its compiled code. What only some commands
 * need is in it, too, and is evaluated when they run: what isn't costs nothing then, as it is compiled by nobody. Run by `make build`.
 */
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type BuildOptions } from 'esbuild';
import { noteLicenses } from './licenses.js';
import { moduleSettings } from './module.js';
import { top, version } from './version.js';

const { define, banner: _, ...shared } = moduleSettings();
const settings = {
  ...shared,
  format: 'cjs',
  // load.cjs runs the bundle as a script, in which there is no import().
  supported: { 'dynamic-import': false },
  // Each name that is kept is a call when the program starts.
  keepNames: false,
} satisfies BuildOptions;

/** Large, and asked for by few commands: files of their own, as all of the bundle is read by every command. */
const APART = ['undici', 'yaml'];
const fileOf = (name: string): string => `./hawser.${name}.cjs`;
for (const name of APART) {
  const { metafile } = await build({ ...settings, entryPoints: [name], outfile: join('dist', fileOf(name)) });
  noteLicenses(`hawser.${name}`, metafile);
}

/** The whole command line; and `ps` by itself, which begins sooner so. */
const ENTRIES = { hawser: 'src/cli/main.ts', 'hawser.ps': 'src/cli/main-ps.ts' };
for (const [name, entry] of Object.entries(ENTRIES)) {
  const { metafile } = await build({
    ...settings,
    define: { ...define, 'import.meta.url': 'HAWSER.url', HAWSER_ADDON_LATE: 'true' },
    banner: {
      js: 'const HAWSER_ADDON_PATH=__dirname+"/hawser_sys.node",HAWSER={get url(){return require("node:url").pathToFileURL(__dirname+"/hawser.bundle.js").href}};',
    },
    entryPoints: [entry],
    outfile: `dist/${name}.bundle.js`,
    plugins: [
      {
        name: 'apart',
        setup: (build) =>
          build.onResolve({ filter: new RegExp(`^(${APART.join('|')})$`) }, ({ path }) => ({
            path: fileOf(path),
            external: true,
          })),
      },
    ],
  });
  noteLicenses(name, metafile);
}
// For the script that answers without Node.
writeFileSync(join(top, 'dist/hawser.version'), `hawser ${version}\n`);
copyFileSync(join(top, 'src/cli/packaging/load.cjs'), join(top, 'dist/hawser.cjs'));
