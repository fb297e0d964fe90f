/** What is the same of every program that is bundled as ES modules: the daemon, the command line, the hook for networks. */
import type { BuildOptions } from 'esbuild';
import { revision, top, version } from './version.js';

/** @param library an expression for the directory with the addon, of a file's own `__dirname` */
export function moduleSettings(library = '__dirname') {
  return {
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
    // 64-bit numbers are written as two halves or read as numbers; without the package there is no WebAssembly for them.
    alias: { long: './src/build/no-long.cjs' },
    define: {
      HAWSER_ADDON: 'HAWSER_ADDON_PATH',
      HAWSER_VERSION: JSON.stringify(version),
      HAWSER_REVISION: JSON.stringify(revision() ?? ''),
    },
    // Libraries that are CommonJS find what they need of it here.
    banner: {
      js: [
        "import{createRequire as hawserRequire}from'node:module';import{fileURLToPath as hawserPath}from'node:url';",
        'const require=hawserRequire(import.meta.url),__filename=hawserPath(import.meta.url),__dirname=hawserPath(new URL(".",import.meta.url)).slice(0,-1);',
        `const HAWSER_ADDON_PATH=${library}+"/hawser_sys.node";`,
      ].join(''),
    },
  } satisfies BuildOptions;
}
