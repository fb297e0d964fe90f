/** Bundles the shim into dist/shim.cjs: one file to read, and only what a shim needs. Run by `make build`. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const top = fileURLToPath(new URL('../..', import.meta.url));
const { version } = JSON.parse(readFileSync(`${top}/package.json`, 'utf8')) as { version: string };

/** The commit this is built from, or nothing outside a checkout. */
function revision(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: top, stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim();
  } catch (error) {
    if (error instanceof Error) return 'unknown';
    throw error;
  }
}

await build({
  absWorkingDir: top,
  entryPoints: ['src/shim/main.ts'],
  outfile: 'dist/shim.cjs',
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: false,
  legalComments: 'none',
  define: {
    HAWSER_ADDON: 'HAWSER_ADDON_PATH',
    HAWSER_VERSION: JSON.stringify(version),
    HAWSER_REVISION: JSON.stringify(revision()),
    'import.meta.url': '"file:///"',
  },
  banner: { js: 'const HAWSER_ADDON_PATH=__dirname+"/hawser_sys.node";' },
  logLevel: 'warning',
});
