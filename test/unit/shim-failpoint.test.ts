import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failpoints, parseTerms } from '../../src/shim/program/failpoint.js';
import { Code, TtrpcError, type CallContext } from '../../src/ttrpc/index.js';

test('every type, with its count and argument', () => {
  assert.deepEqual(parseTerms('1*off'), [{ count: 1, type: 'off' }]);
  assert.deepEqual(parseTerms('2*error(please retry)'), [{ count: 2, type: 'error', text: 'please retry' }]);
  assert.deepEqual(parseTerms('0*panic(oops: (twice)'), [{ count: 0, type: 'panic', text: 'oops: (twice' }]);
  assert.deepEqual(parseTerms('30*delay(1500)'), [{ count: 30, type: 'delay', ms: 1500 }]);
  assert.deepEqual(
    parseTerms('1*off->2*error(a->b)->1*delay(0)').map(({ type, count }) => `${count} ${type}`),
    ['1 off', '2 error', '1 delay'],
  );
});

const malformed: [text: string, message: RegExp][] = [
  ['', /must begin with a count and "\*", such as "1\*off", not with ""/],
  ['off', /must begin with a count.*not with "off"/],
  ['*off', /must begin with a count/],
  ['-1*off', /must begin with a count/],
  ['1 *off', /must begin with a count/],
  ['1*', /must follow the count, not ""/],
  ['1*crash(x)', /off, error\(text\), panic\(text\) or delay\(milliseconds\) must follow the count, not "crash\(x\)"/],
  ['1*error', /must follow the count/],
  ['1*error()', /must follow the count/],
  ['1*error(never ends', /must follow the count/],
  ['1*delay(soon)', /must follow the count/],
  ['1*delay(-5)', /must follow the count/],
  ['1*OFF', /must follow the count/],
  ['1*off(x)', /"->" must follow a term, not "\(x\)"/],
  ['1*off 1*off', /"->" must follow a term/],
  ['1*off->', /must begin with a count.*not with ""/],
  ['1*off->off', /must begin with a count.*not with "off"/],
];

for (const [text, message] of malformed) {
  test(`malformed: ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseTerms(text), message);
    assert.throws(
      () => failpoints({ 'io.containerd.runtime.v2.shim.failpoint.Start': text }, assert.fail),
      /annotation io\.containerd\.runtime\.v2\.shim\.failpoint\.Start: failpoint ".*" cannot be understood: /,
    );
  });
}

const call = (method: string): CallContext => ({ method }) as CallContext;

test('terms are used up one after the other, each method by itself', () => {
  const panics: string[] = [];
  const intercept = failpoints(
    {
      'io.containerd.runtime.v2.shim.failpoint.Create': '1*off->2*error(please retry)->0*error(never)->1*panic(oops)',
      'another.annotation': 'nonsense',
    },
    (text) => panics.push(text),
  );
  const create = (): unknown => intercept(call('Create'), {}, () => 'done');
  const refused = (error: unknown): boolean =>
    error instanceof TtrpcError && error.code === Code.Unknown && error.message === 'please retry';
  assert.equal(
    intercept(call('Start'), {}, () => 'started'),
    'started',
  );
  assert.equal(create(), 'done');
  assert.throws(create, refused);
  assert.throws(create, refused);
  create();
  assert.deepEqual(panics, ['failpoint Create: oops']);
  assert.equal(create(), 'done', 'all are used up');
});

test('a delay holds its own call up, and nothing else', async () => {
  const intercept = failpoints({ 'io.containerd.runtime.v2.shim.failpoint.Start': '1*delay(20)' }, assert.fail);
  const order: string[] = [];
  const first = Promise.resolve(intercept(call('Start'), {}, () => order.push('first')));
  intercept(call('Start'), {}, () => order.push('second'));
  await first;
  assert.deepEqual(order, ['second', 'first']);
});

test('without annotations nothing is intercepted', () => {
  assert.equal(
    failpoints(undefined, assert.fail)(call('Create'), {}, () => 'done'),
    'done',
  );
});
