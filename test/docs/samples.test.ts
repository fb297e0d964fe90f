/** What the pages show does what they say: every sample is run, in the order of its page. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { parse as parseToml } from 'smol-toml';
import ts from 'typescript';
import { parseAllDocuments } from 'yaml';
import { temporaryDirectory, top } from '../support/daemons.js';
import { PageSandbox } from '../support/page-sandbox.js';
import { pages, samplesOf, type Sample } from '../support/samples.js';

/** Of all pages; each says why. */
const MAX_NOT_RUN = 9;
const all = pages(top);

/** The page's samples, or none where the page is wrong, which a test of its own tells. */
function samples(page: string): Sample[] {
  return samplesOf(top, page);
}

test('few samples are not run, and each of them says why', (t) => {
  const notRun = all.flatMap(samples).filter(({ notRun }) => notRun !== undefined);
  for (const { page, line, notRun: why } of notRun) {
    t.diagnostic(`${page}:${line} is not run: ${why}`);
    assert.ok(why !== undefined && why.length > 15, `${page}:${line}: why is it not run?`);
  }
  assert.ok(notRun.length <= MAX_NOT_RUN, `${notRun.length} samples are not run`);
});

test('a sample that is a file of the repository is that file', () => {
  for (const { page, line, is, code } of all.flatMap(samples)) {
    if (is !== undefined) assert.equal(code, readFileSync(join(top, is), 'utf8'), `${page}:${line} is not ${is}`);
  }
});

test('links lead somewhere', () => {
  for (const page of all) {
    const text = readFileSync(join(top, page), 'utf8').replace(/```[\s\S]*?```/g, '');
    for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [path = '', anchor] = link.split('#');
      const file = path === '' ? join(top, page) : resolve(top, dirname(page), path);
      assert.ok(existsSync(file), `${page} links to ${link}, which is not there`);
      if (anchor === undefined) continue;
      const heads = readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => /^#+ /.test(line))
        .map(anchorOf);
      assert.ok(heads.includes(anchor), `${page} links to ${link}, which is no heading; there are ${heads.join(', ')}`);
    }
  }
});

function anchorOf(heading: string): string {
  return heading
    .replace(/^#+ /, '')
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .trim()
    .replaceAll(' ', '-');
}

test('what is TOML, JSON or YAML is that, and containerd and hawserd take their configurations', () => {
  const dir = temporaryDirectory('samples');
  try {
    for (const { page, line, language, code } of all.flatMap(samples)) {
      const where = `${page}:${line}`;
      try {
        if (language === 'json') JSON.parse(code);
        if (language === 'yaml') for (const document of parseAllDocuments(code)) assert.deepEqual(document.errors, []);
        if (language !== 'toml') continue;
        const parsed = parseToml(code);
        // Version 3 is containerd 2's, which the test of the Kubernetes page starts.
        if (parsed.version !== 2) continue;
        const file = join(dir, 'config.toml');
        writeFileSync(file, code);
        execFileSync(join(top, 'bin/hawserd'), ['-c', file, 'config', 'check'], { stdio: 'pipe' });
        if (page.includes('kubernetes'))
          assert.match(
            execFileSync('containerd', ['-c', file, 'config', 'dump'], { encoding: 'utf8', stdio: 'pipe' }),
            /runtimes\.hawser\]/,
          );
      } catch (error) {
        throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
      }
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('what is TypeScript has no type errors, with the types of the built package', { timeout: 120_000 }, () => {
  const sandboxes = all.map((page) => [page, new PageSandbox()] as const);
  try {
    const files = sandboxes.flatMap(([page, sandbox]) => sandbox.write(samples(page)));
    const program = ts.createProgram(files, {
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2023.d.ts'],
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: ['node'],
      typeRoots: [join(top, 'node_modules/@types')],
      preserveSymlinks: false,
    });
    const errors = ts.getPreEmitDiagnostics(program).map((one) => {
      const at =
        one.file && one.start !== undefined
          ? `${one.file.fileName.split('/').slice(-2).join('/')}:${one.file.getLineAndCharacterOfPosition(one.start).line + 1}: `
          : '';
      return `${at}${ts.flattenDiagnosticMessageText(one.messageText, '\n')}`;
    });
    assert.deepEqual(errors, []);
  } finally {
    for (const [, sandbox] of sandboxes) sandbox.cleanUp();
  }
});

for (const [language, code] of [
  ['sh', 'true\nfalse\n'],
  ['ts', "throw new Error('no');\n"],
] as const) {
  test(`a sample in ${language} that fails is found`, { timeout: 60_000 }, async () => {
    const sandbox = new PageSandbox();
    try {
      const sample: Sample = { page: 'wrong.md', line: 7, language, code, whole: code, isHidden: false };
      sandbox.write([sample]);
      await assert.rejects(sandbox.run([sample]), /wrong\.md does not do what it says[^]*failed at line 7/);
    } finally {
      sandbox.cleanUp();
    }
  });
}

for (const page of all) {
  test(`${page} does what it says`, { timeout: 180_000 }, async () => {
    const sandbox = new PageSandbox();
    try {
      const found = samples(page);
      sandbox.write(found);
      await sandbox.run(found);
    } finally {
      sandbox.cleanUp();
    }
  });
}
