import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRepeated } from '../../src/shim/worker/death.js';
import { Ledger } from '../../src/shim/worker/ledger.js';

test('what was asked and not answered is there for who comes after, connection by connection', () => {
  const ledger = Ledger.open();
  const [a, b] = [ledger.connect()!, ledger.connect(7, true)!];
  ledger.asked(a, 1, Buffer.from('one'));
  const two = ledger.asked(a, 3, Buffer.from('two'))!;
  ledger.asked(b, 9, Buffer.alloc(4000, 'm'));
  ledger.asked(b, 11, Buffer.alloc(9000));
  ledger.answered(two);
  ledger.told = 5;
  const other = Ledger.read(ledger.fd)!;
  assert.equal(other.told, 5);
  const first = other.connection(a)!;
  assert.equal(first.lastStreamId, 3);
  assert.equal(first.begun, true);
  assert.deepEqual(
    first.unanswered.map(({ streamId, request }) => [streamId, String(request)]),
    [[1, 'one']],
  );
  assert.deepEqual(
    other.connection(b)!.unanswered.map(({ streamId, request }) => [streamId, request]),
    [
      [11, undefined],
      [9, Buffer.alloc(4000, 'm')],
    ],
    'one that is too long is known of',
  );
  ledger.midFrame(b, true);
  assert.equal(other.connection(b)!.isMidFrame, true);
  ledger.midFrame(b, false);
  assert.equal(other.connection(b)!.isMidFrame, false);
  ledger.close();
});

test('a connection that was resumed keeps the last stream it knew, and an earlier one asked again does not change that', () => {
  const ledger = Ledger.open();
  const connection = ledger.connect(11, true)!;
  ledger.asked(connection, 5, Buffer.from('again'));
  assert.equal(ledger.connection(connection)!.lastStreamId, 11);
  ledger.close();
});

test('places are used again, and a closed connection leaves none', () => {
  const ledger = Ledger.open();
  const connection = ledger.connect()!;
  for (let stream = 1; stream < 10_000; stream += 2)
    ledger.answered(ledger.asked(connection, stream, Buffer.from('x'))!);
  const places = Array.from({ length: 1024 }, (_, i) => ledger.asked(connection, 10_001 + 2 * i, Buffer.from('x'))!);
  assert.equal(new Set(places).size, 1024);
  assert.equal(ledger.asked(connection, 99_999, Buffer.from('x')), undefined, 'there is no place for more');
  ledger.disconnect(connection, places);
  assert.equal(ledger.connection(connection), undefined);
  const next = ledger.connect()!;
  assert.deepEqual(ledger.connection(next)!.unanswered, []);
  assert.notEqual(ledger.asked(next, 1, Buffer.from('x')), undefined);
  ledger.close();
});

test('more connections than there are places are told so', () => {
  const ledger = Ledger.open();
  const all = Array.from({ length: 128 }, () => ledger.connect());
  assert.equal(new Set(all).size, 128);
  assert.equal(ledger.connect(), undefined);
  ledger.disconnect(all[40]!, []);
  assert.equal(ledger.connect(), all[40]);
  ledger.close();
});

test('how many workers have ended over a request goes with it', () => {
  const ledger = Ledger.open();
  const connection = ledger.connect()!;
  ledger.asked(connection, 1, Buffer.from('one'));
  ledger.asked(connection, 3, Buffer.from('three'), 2);
  assert.deepEqual(
    ledger.connection(connection)!.unanswered.map(({ streamId, ended }) => [streamId, ended]),
    [
      [1, 0],
      [3, 2],
    ],
  );
  ledger.close();
});

test('what each worker ends of is not asked for ever; a Wait is, and what changes something never', () => {
  assert.deepEqual(
    [1, 2, 3, 4].map((ended) => isRepeated({ method: 'State' }, ended)),
    [true, true, false, false],
  );
  assert.equal(isRepeated({ method: 'Wait' }, 100), true);
  assert.equal(isRepeated({ method: 'Create' }, 1), false);
});
