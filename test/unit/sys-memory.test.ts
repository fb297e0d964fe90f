/** A process that lets go of what it has read of its program goes on as before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execa } from 'execa';
import { top } from '../support/daemons.js';

test('what a process has read of its program is let go of, and read again when it is needed', async () => {
  const script = `
    import { readFileSync } from 'node:fs';
    import { createHash } from 'node:crypto';
    import { releaseFiles } from './src/sys/index.ts';
    const ofFiles = () => Number(/^RssFile:\\s+(\\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
    const before = ofFiles();
    releaseFiles();
    const after = ofFiles();
    const sum = createHash('sha256').update(JSON.stringify({ text: 'x'.repeat(1e5) }).replace(/x+/u, 'y')).digest('hex');
    const thread = await import('node:fs/promises').then(({ readFile }) => readFile('/proc/self/comm', 'utf8'));
    console.log(JSON.stringify({ before, after, sum, thread }));`;
  const { stdout } = await execa(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: top,
  });
  const { before, after, sum, thread } = JSON.parse(stdout) as {
    before: number;
    after: number;
    sum: string;
    thread: string;
  };
  assert.ok(after < before / 2, `${before} kB, then ${after}`);
  assert.match(sum, /^[0-9a-f]{64}$/);
  // As Node 24 calls it.
  assert.match(thread, /^(node|MainThread)\n$/);
});
