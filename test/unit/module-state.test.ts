/** The lint rule that keeps state out of the shim's modules. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Linter, type Rule } from 'eslint';

const file = new URL('../../.eslint.module-state.js', import.meta.url).href;
const { moduleState } = (await import(file)) as { moduleState: Rule.RuleModule };

/** What the rule names in a module. */
function found(code: string): string[] {
  const config = {
    plugins: { hawser: { rules: { 'module-state': moduleState } } },
    rules: { 'hawser/module-state': 'error' },
  } as const;
  return new Linter()
    .verify(code, config)
    .map(({ message }) => /^The module keeps `(.+)`, which changes/.exec(message)?.[1] ?? message);
}

test('what a module keeps and changes is found', () => {
  assert.deepEqual(found('let timer; export function wait() { timer = 1; }'), ['timer']);
  assert.deepEqual(found('const pending = new Set(); export const add = (one) => pending.add(one);'), ['pending']);
  assert.deepEqual(found('const first = []; export function forget() { first.length = 0; }'), ['first']);
  assert.deepEqual(found('export const counters = { started: 0 }; export const start = () => counters.started++;'), [
    'counters',
  ]);
  assert.deepEqual(found('const kept = {}; export const drop = (id) => delete kept[id];'), ['kept']);
  assert.deepEqual(found("import { counters } from './counters.js'; counters.copied += 1;"), ['counters']);
  assert.deepEqual(found('export const observations = new Observations();'), ['observations']);
  assert.deepEqual(found('class Files { static open = new Map(); }'), ['open']);
});

test('what never changes is not, nor what a function or an object keeps', () => {
  assert.deepEqual(found("const QUIET = new Set(['State']); export const isQuiet = (name) => QUIET.has(name);"), []);
  assert.deepEqual(found('const RESTS = [1, 2]; export const first = () => RESTS[0];'), []);
  assert.deepEqual(found('export function all() { const names = []; names.push(1); return names; }'), []);
  assert.deepEqual(found('export class Waits { #pending = new Set(); add(one) { this.#pending.add(one); } }'), []);
});
