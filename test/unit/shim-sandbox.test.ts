/** When a shim may end by itself that is a sandbox. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Containers } from '../../src/shim/task/containers.js';
import type { ShimContext } from '../../src/shim/task/context.js';

test('a sandbox is no reason to end, until it is shut down; the end of one of its containers is not its own', () => {
  const containers = new Containers({} as ShimContext);
  let empty = 0;
  containers.onEmpty = () => {
    empty++;
  };
  const stops: string[] = [];
  const owner = containers.sandboxOwner(() => stops.push('stop'));
  owner.created();
  assert.equal(containers.endIfForgotten(), false);
  owner.shutDown();
  assert.equal(empty, 1, 'the shim is to look soon whether anybody needs it');
  assert.equal(containers.endIfForgotten(), true);
  owner.stop();
  assert.deepEqual(stops, ['stop']);

  const asked = new Containers({ record: { id: 'pod' } } as ShimContext);
  asked.sandboxOwner(() => undefined).created();
  const ended: string[] = [];
  for (const id of ['member', 'pod']) asked.shutdown(id, () => ended.push(id));
  assert.deepEqual(ended, ['pod']);
});
