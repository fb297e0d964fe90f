/** Bundles the hook that connects containers with networks into dist/hawser-network.mjs. Run by `make build`. */
import { build } from 'esbuild';
import { noteLicenses } from './licenses.js';
import { moduleSettings } from './module.js';

const { metafile } = await build({
  ...moduleSettings(),
  entryPoints: ['src/client/network/hook/main.ts'],
  outfile: 'dist/hawser-network.mjs',
});
noteLicenses('hawser-network', metafile);
