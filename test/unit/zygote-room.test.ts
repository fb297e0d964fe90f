/** What a zygote forks has room for what a life takes of new memory, before anything of it is collected. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { ROOM } from '../../src/shim/zygote/room.js';

const source = (file: string): string =>
  JSON.stringify(fileURLToPath(new URL(`../../src/shim/${file}`, import.meta.url)));

test('there is as much room as is wanted, once, and it stays when all is collected', () => {
  const contents = `
    import { makeRoom, room } from ${source('zygote/room.ts')};
    import { collector } from ${source('worker/collector.ts')};
    const found = [room()];
    for (const work of [makeRoom, makeRoom, collector()]) {
      work();
      found.push(room());
    }
    process.stdout.write(JSON.stringify(found));
  `;
  // Loaded as the shim is: where a program is compiled first it has grown by itself.
  const { outputFiles } = buildSync({
    stdin: { contents, resolveDir: '/', loader: 'js' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    write: false,
  });
  const [before, ...after] = JSON.parse(
    execFileSync(process.execPath, ['-e', outputFiles[0]!.text]).toString(),
  ) as number[];
  assert.ok(before! < ROOM, 'there is less otherwise');
  assert.ok(after[0]! >= ROOM, String(after));
  assert.deepEqual(after, Array(3).fill(after[0]));
});
