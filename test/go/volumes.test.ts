/** Volumes as nerdctl's own code sees them, and those that it makes. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { execa } from 'execa';
import { ClientLab } from '../support/client-lab.js';
import { goProgram, withoutGo } from '../support/go-programs.js';

interface Seen {
  readonly Name: string;
  readonly Mountpoint: string;
  readonly Labels: Record<string, string> | null;
  readonly Size: number;
}

suite("volumes and nerdctl's store", { skip: withoutGo }, () => {
  test('either sees what the other has made, and neither is in the way of the other', async (t) => {
    const program = goProgram('volumes');
    const lab = await ClientLab.open();
    t.after(() => lab.close());
    const { volumes } = lab.client;
    const daemon = createHash('sha256').update(realpathSync(lab.daemon.socket)).digest('hex').slice(0, 8);
    const store = join(lab.dataRoot, daemon);
    const nerdctl = async (...args: string[]): Promise<string> =>
      (await execa(program, [store, lab.namespace, ...args], { stdin: 'ignore' })).stdout;
    const list = async (): Promise<Record<string, Seen>> => JSON.parse(await nerdctl('list')) as Record<string, Seen>;

    const { mountpoint } = await volumes.create({ name: 'ours', labels: { app: 'web' } });
    await volumes.create({ name: 'plain' });
    writeFileSync(join(mountpoint, 'file'), 'hello');
    await lab.create(['true'], { volumes: [{ destination: '/anonymous' }] });
    await nerdctl('create', 'theirs');
    const seen = await list();
    assert.equal(Object.keys(seen).length, 4);
    assert.deepEqual([seen.ours!.Mountpoint, seen.ours!.Labels, seen.ours!.Size], [mountpoint, { app: 'web' }, 5]);
    assert.deepEqual((await volumes.get('theirs')).labels, { made: 'by nerdctl' });
    assert.equal((await volumes.list()).length, 4);

    // What a process of ours has left that was killed is none of theirs.
    const left = join(store, 'volumes', `.hawser-${lab.namespace}`, 'new-1');
    mkdirSync(left, { recursive: true });
    assert.equal(Object.keys(await list()).length, 4);
    assert.match(await nerdctl('remove', 'ours'), /^\[ours\] \[\]$/);
    assert.deepEqual((await volumes.list()).map(({ name }) => name).includes('ours'), false);
    // Both at once: the lock is the same.
    const names = [1, 2, 3, 4, 5].map((n) => `many${n}`);
    await Promise.all(names.map((name, n) => (n % 2 === 0 ? volumes.create({ name }) : nerdctl('create', name))));
    const after = await list();
    for (const name of names) assert.ok(after[name], name);
  });
});
