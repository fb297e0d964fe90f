/**
 * Our ttrpc beside the Go module of containerd: the same calls, by either client, of either server. What the Go client
 * gets from the Go server is what is right.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { before, suite, test, type TestContext } from 'node:test';
import { execa } from 'execa';
import { patiently } from '../support/eventually.js';
import { goProgram, withoutGo } from '../support/go-programs.js';
import { socketPath } from '../support/ttrpc-fixture.js';
import { call } from './ttrpc-client.js';
import { serve } from './ttrpc-server.js';

const CALLS_MS = 60_000;

/** Shows the lines that differ, and no others. */
function same(got: readonly string[], right: readonly string[]): void {
  const length = Math.max(got.length, right.length);
  const differences = Array.from({ length }, (_, i) => i)
    .filter((i) => got[i] !== right[i])
    .map((i) => `${got[i]}\n    instead of  ${right[i]}`);
  assert.equal(differences.join('\n'), '');
}

suite('ttrpc and its Go module', { skip: withoutGo }, () => {
  let program: string;
  let right: string[];

  async function goServer(t: TestContext, path: string): Promise<void> {
    const server = spawn(program, ['serve', path], { stdio: ['ignore', 'pipe', 'ignore'] });
    t.after(() => server.kill('SIGKILL'));
    await once(server.stdout, 'data');
  }

  async function goClient(path: string): Promise<string[]> {
    const options = { timeout: patiently(CALLS_MS), killSignal: 'SIGKILL', stdin: 'ignore' } as const;
    return (await execa(program, ['call', path], options)).stdout.split('\n');
  }

  async function ourClient(path: string): Promise<string[]> {
    const lines: string[] = [];
    await call(path, (line) => void lines.push(line));
    return lines;
  }

  before(() => {
    program = goProgram('ttrpc');
  });

  test('the Go client calls the Go server', async (t) => {
    const path = socketPath(t);
    await goServer(t, path);
    right = await goClient(path);
    assert.equal(right.at(-1), 'the server is gone, a stream: Unavailable: ttrpc: closed');
  });

  test('the Go client calls our server', async (t) => {
    const path = socketPath(t);
    t.after(await serve(path));
    same(await goClient(path), right);
  });

  test('our client calls the Go server', { timeout: patiently(CALLS_MS) }, async (t) => {
    const path = socketPath(t);
    await goServer(t, path);
    same(await ourClient(path), right);
  });

  test('our client calls our server', { timeout: patiently(CALLS_MS) }, async (t) => {
    const path = socketPath(t);
    t.after(await serve(path));
    same(await ourClient(path), right);
  });
});
