import assert from 'node:assert/strict';
import { test } from 'node:test';
import { churn } from '../support/churn.js';
import { StoreDaemon } from '../support/store-daemon.js';

test('what has a name is whole after pulls, removals and collections at once', async (t) => {
  const daemon = await StoreDaemon.start(t);
  const { pulls, removed, collections, lost, failed } = await churn({ socket: daemon.socket, snapshots: 1000 });
  assert.deepEqual({ lost, failed }, { lost: [], failed: [] });
  assert.ok(
    pulls > 0 && removed > 0 && collections > 1,
    `${pulls} pulls, ${removed} removed, ${collections} collections`,
  );
});
