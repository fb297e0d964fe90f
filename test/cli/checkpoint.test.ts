/** hawser checkpoint and restore, with a real criu. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { useCriu } from '../support/criu.js';
import { until } from '../support/daemons.js';
import { Lab } from './lab.js';

test('a container is written to a directory, ends, and goes on from there with its log', async (t) => {
  useCriu();
  const lab = await Lab.open();
  t.after(() => lab.close());
  await lab.start('count', 'i=0; while :; do i=$((i+1)); echo count $i; sleep 0.1; done', ['--log-opt', 'max-size=-1']);
  const last = async (): Promise<number> =>
    Number(/(\d+)$/.exec(await lab.ok(['logs', '--tail', '1', 'count']))?.[1] ?? 0);
  await until('it to count', async () => (await last()) > 3);

  const directory = join(lab.daemon.dir, 'written');
  assert.equal(await lab.ok(['checkpoint', '--leave-running', '--image-path', directory, 'count']), directory);
  assert.ok(existsSync(join(directory, 'inventory.img')));
  assert.equal(await lab.ok(['inspect', '-f', '{{.State.Status}}', 'count']), 'running');

  await lab.ok(['checkpoint', 'count']);
  await until('it to end', async () => (await lab.ok(['inspect', '-f', '{{.State.Status}}', 'count'])) === 'exited');
  const before = await last();
  assert.equal(await lab.ok(['restore', 'count']), 'count');
  await until('it to count on', async () => (await last()) > before + 2);
  const counts = (await lab.ok(['logs', 'count'])).split('\n').map((line) => Number(line.split(' ')[1]));
  assert.equal(counts.filter((count) => count === 1).length, 1, 'it has not begun anew');

  const { stderr, exitCode } = await lab.hawser(['restore', '--image-path', '/no/such', 'count']);
  assert.equal(exitCode, 1);
  assert.match(
    stderr,
    /^hawser: container count cannot be restored: there is no \/no\/such; `hawser checkpoint count` makes it$/,
  );
});
