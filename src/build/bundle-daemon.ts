/**
 * Bundles the daemon into dist/hawserd.mjs, with lmdb's native part beside it. Run by `make build`. It is an ES module, as
 * external plugins are.
 */
import { copyFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { arch } from 'node:process';
import { build } from 'esbuild';
import { noteLicenses } from './licenses.js';
import { moduleSettings } from './module.js';
import { top } from './version.js';

/** Of lmdb's binaries the one for Node's stable interface: it fits every version. */
function lmdbBinary(): string {
  const require = createRequire(import.meta.url);
  const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header;
  const directory = dirname(require.resolve(`@lmdb/lmdb-linux-${arch}/package.json`));
  return join(directory, `node.napi.${glibcVersionRuntime === undefined ? 'musl' : 'glibc'}.node`);
}

const { metafile } = await build({
  ...moduleSettings(),
  entryPoints: ['src/daemon/main.ts'],
  outfile: 'dist/hawserd.mjs',
  plugins: [
    {
      name: 'native-parts',
      setup(builder) {
        // lmdb looks for its binary around its own package, which is not there any more.
        builder.onResolve({ filter: /^node-gyp-build-optional-packages$/ }, () => ({
          path: 'lmdb-binary',
          namespace: 'native',
        }));
        builder.onLoad({ filter: /.*/, namespace: 'native' }, () => ({
          contents: 'export default () => require(__dirname + "/lmdb.node");',
          loader: 'js',
        }));
        // This one evaluates code that names its own variables, which keep their names in a CommonJS module only.
        builder.onResolve({ filter: /^ordered-binary$/ }, () => ({
          path: join(top, 'node_modules/ordered-binary/dist/index.cjs'),
        }));
        // An encoder of lmdb's that has a native accelerator of its own, and does without.
        builder.onResolve({ filter: /^msgpackr-extract$/ }, () => ({ path: 'none', namespace: 'none' }));
        builder.onLoad({ filter: /.*/, namespace: 'none' }, () => ({
          contents: 'throw new Error("not bundled");',
          loader: 'js',
        }));
      },
    },
  ],
});
// A daemon that runs from here has it mapped: what is in its file must not change.
copyFileSync(lmdbBinary(), join(top, 'dist/lmdb.node.new'));
renameSync(join(top, 'dist/lmdb.node.new'), join(top, 'dist/lmdb.node'));
noteLicenses('hawserd', metafile, ['lmdb']);
