import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('the example runs', () => {
  const file = fileURLToPath(new URL('../../src/ttrpc/example/greeter.ts', import.meta.url));
  const out = execFileSync(process.execPath, ['--import', 'tsx', file], { encoding: 'utf8' });
  assert.deepEqual(out.trim().split('\n'), ['hello, sailor', '1', '2', '3', 'InvalidArgument']);
});
