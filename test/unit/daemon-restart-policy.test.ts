import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackOff } from '../../src/daemon/restart/back-off.js';
import {
  isExplicitlyStopped,
  isToStart,
  LABELS,
  logUri,
  parsePolicy,
  restartCount,
} from '../../src/daemon/restart/policy.js';

const labels = (policy: string, more: Record<string, string> = {}): Record<string, string> => ({
  [LABELS.policy]: policy,
  ...more,
});

test('policies are read as containerd reads them', () => {
  assert.deepEqual(parsePolicy(''), { name: 'always', most: 0 });
  for (const name of ['no', 'always', 'unless-stopped', 'on-failure'] as const)
    assert.deepEqual(parsePolicy(name), { name, most: 0 });
  assert.deepEqual(parsePolicy('on-failure:3'), { name: 'on-failure', most: 3 });
  for (const bad of ['sometimes', 'always:3', 'no:1', ':3', 'on-failure:', 'on-failure:x', 'on-failure:1:2', 'Always'])
    assert.throws(() => parsePolicy(bad), /restart policy .* is none of/, bad);
});

test('what is to be started: by policy, exit status and count, and never what a client has stopped', () => {
  const stopped = { [LABELS.explicitlyStopped]: 'true' };
  for (const [policy, status, more, wanted] of [
    ['', 0, {}, true],
    ['always', 0, {}, true],
    ['always', 1, {}, true],
    ['unless-stopped', 0, {}, true],
    ['no', 1, {}, false],
    ['on-failure', 0, {}, false],
    ['on-failure', 1, {}, true],
    ['on-failure', 137, { [LABELS.count]: '1000' }, true],
    ['on-failure:2', 1, {}, true],
    ['on-failure:2', 1, { [LABELS.count]: '1' }, true],
    ['on-failure:2', 1, { [LABELS.count]: '2' }, false],
    ['always', 1, stopped, false],
    ['unless-stopped', 1, stopped, false],
    ['on-failure', 1, stopped, false],
    ['always', 1, { [LABELS.explicitlyStopped]: 'false' }, true],
    ['always', 1, { [LABELS.explicitlyStopped]: 'nonsense' }, true],
  ] as const) {
    assert.equal(isToStart(labels(policy, more), status), wanted, JSON.stringify([policy, status, more]));
  }
  assert.throws(() => isToStart(labels('sometimes'), 1), /restart policy/);
  assert.throws(() => isToStart(labels('on-failure:2', { [LABELS.count]: 'many' }), 1), /is no number/);
  assert.deepEqual(
    ['1', 't', 'TRUE', '0', '', 'yes'].map((text) => isExplicitlyStopped({ [LABELS.explicitlyStopped]: text })),
    [true, true, true, false, false, false],
  );
  assert.deepEqual(
    ['', '7', 'x', '-1'].map((text) => restartCount({ [LABELS.count]: text })),
    [0, 7, 0, 0],
  );
});

test('where output goes: the URI, or the path of older clients', () => {
  assert.equal(logUri({}), '');
  assert.equal(logUri({ [LABELS.logPath]: '/var/log/a b%20.log' }), 'file:///var/log/a%20b%2520.log');
  assert.equal(logUri({ [LABELS.logPath]: '/x', [LABELS.logUri]: 'binary:///y?a=b' }), 'binary:///y?a=b');
});

test('one that keeps ending is started at every look at first, and then ever less often, up to a minute', () => {
  let now = 1_000_000;
  const backOff = new BackOff(
    10_000,
    () => now,
    () => now,
  );
  const starts: number[] = [];
  for (; starts.length < 9; now += 10_000) {
    if (!backOff.isOver('n/c')) continue;
    backOff.started('n/c', 1_000_100 + (starts.at(-1) ?? 0) * 1000);
    starts.push((now - 1_000_000) / 1000);
  }
  assert.deepEqual(
    starts.map((at, i) => at - (starts[i - 1] ?? 0)),
    [0, 10, 10, 10, 20, 40, 60, 60, 60],
  );
  // It ran for long: from the start again.
  now += 600_000;
  backOff.started('n/c', now);
  now += 1;
  assert.ok(backOff.isOver('n/c'));
  assert.ok(backOff.isOver('n/other'));
});
