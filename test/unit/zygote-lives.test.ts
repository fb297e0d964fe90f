/** Which lives are rehearsed when somebody comes in between (src/shim/zygote/lives.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveWhole } from '../../src/shim/zygote/lives.js';

/** Lives three, of which those at these places in the row of all are broken off. */
async function lived(
  isBroken: (time: number) => boolean,
  ending?: number,
  isOfUse: (time: number) => boolean = () => true,
): Promise<{ lives: string; found: unknown }> {
  const lives: string[] = [];
  let served = 0;
  const found = await liveWhole(
    3,
    (life) => {
      const isWhole = !isBroken(lives.length);
      lives.push(`${life}${isWhole ? '' : '!'}`);
      return Promise.resolve(isWhole);
    },
    () => (++served === ending ? 'a job' : undefined),
    () => isOfUse(lives.length),
  );
  return { lives: lives.join(' '), found };
}

test('each once when nobody comes', async () => {
  assert.deepEqual(await lived(() => false), { lives: '0 1 2', found: undefined });
});

test('one that was broken off is lived again, the last as well', async () => {
  assert.deepEqual(await lived((time) => [0, 2, 3].includes(time)), { lives: '0! 0 1! 1! 1 2', found: undefined });
  assert.deepEqual(await lived((time) => time === 2), { lives: '0 1 2! 2', found: undefined });
});

test('in what is forked for who has come it is over', async () => {
  assert.deepEqual(await lived((time) => time > 0, 2), { lives: '0 1! 1!', found: 'a job' });
});

test('one that is of no use any more does no more', async () => {
  assert.deepEqual(
    await lived(
      (time) => time > 0,
      undefined,
      (time) => time < 3,
    ),
    { lives: '0 1! 1!', found: undefined },
  );
});

test('where somebody comes all the time it is over some time', async () => {
  const { lives, found } = await lived(() => true);
  assert.equal(found, undefined);
  assert.deepEqual(lives.split(' ').slice(-3), ['0!', '1!', '2!']);
  assert.equal(lives.split(' ').length, 13);
});
