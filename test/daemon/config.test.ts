/** Configurations between hawserd and real containerds. */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { execa } from 'execa';
import { temporaryDirectory, top } from '../support/daemons.js';
import { builtContainerd, NEWEST_CONTAINERD } from '../support/go-programs.js';

const directory = temporaryDirectory('config');
after(() => rmSync(directory, { recursive: true, force: true }));
const hawserd = join(top, 'bin/hawserd');

const newest = builtContainerd(NEWEST_CONTAINERD);
const withoutNewest =
  newest === undefined && `containerd ${NEWEST_CONTAINERD} has not been built; test/support/matrix.ts does it`;
const stock = '/usr/bin/containerd';
const containerds = [
  { name: `containerd ${NEWEST_CONTAINERD}`, program: join(newest ?? '', 'containerd'), skip: withoutNewest },
  { name: "the machine's containerd", program: stock, skip: !existsSync(stock) && `there is no ${stock}` },
];

let files = 0;

function write(text: string): string {
  const path = join(directory, `c${files++}.toml`);
  writeFileSync(path, text);
  return path;
}

const run = async (program: string, file: string, ...args: string[]): Promise<string> =>
  (await execa(program, ['-c', file, ...args], { cwd: '/' })).stdout;

for (const { name, program, skip } of containerds) {
  test(`all that ${name} has in its configuration is read`, { skip }, async () => {
    const file = write(await run(program, write(''), 'config', 'default'));
    assert.equal(await run(hawserd, file, 'config', 'check'), `${file}: good`);
    const dump = await run(hawserd, file, 'config', 'dump');
    assert.match(dump, /^address = "\/run\/containerd\/containerd\.sock"$/m);
    assert.match(dump, /^address = "\/run\/containerd\/containerd\.sock\.ttrpc"$/m);
  });
}
