/** What Node is told by the launcher (monitor/flags.h). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Script } from 'node:vm';
import { top } from '../support/daemons.js';

const source = '(function () { return 1; })';
const header = readFileSync(join(top, 'src/monitor/flags.h'), 'utf8');
const flags = [...header.matchAll(/"(--[^"]+)"/g)].map(([, flag = '']) => flag);

/** Whether a Node under these flags takes code that this one has compiled. */
function takes(...given: string[]): boolean {
  const code = new Script(source, { filename: 'x' }).createCachedData().toString('base64');
  const program = `
    const { Script } = require('node:vm');
    const cachedData = Buffer.from(process.argv[1], 'base64');
    process.stdout.write(String(new Script(${JSON.stringify(source)}, { filename: 'x', cachedData }).cachedDataRejected));
  `;
  const env = { ...process.env, NODE_OPTIONS: '' };
  return execFileSync(process.execPath, [...given, '-e', program, code], { env }).toString() === 'false';
}

test('under the flags that Node is told it still takes what it has compiled of itself', () => {
  assert.ok(flags.length > 3, flags.join(' '));
  assert.equal(takes(...flags), true);
  assert.equal(takes('--no-opt'), false, 'there are flags under which it does not');
});
