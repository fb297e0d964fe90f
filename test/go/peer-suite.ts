/**
 * A program on one of containerd's client modules, with our shim under containerd and with hawserd. What it sees of
 * containerd with its own shim is what is right, line by line, but for what differences.ts lists.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { shimDir, top } from '../support/daemons.js';
import { withoutGo } from '../support/go-programs.js';
import { MAY_BE_LOST, type Difference } from './differences.js';
import { steps, type Said } from './lab.js';

/** A step that did not come to its end, whatever the daemon. */
const BROKEN = /^panic: |it never came: |it did not end|^no event came/;

const isBroken = (lines: readonly string[]): boolean => lines.some((line) => BROKEN.test(line));

const CLASS = /\b(NotFound|AlreadyExists|InvalidArgument|FailedPrecondition|Unavailable|NotImplemented): .*$/s;

/** What containerd's releases word differently, and hawserd as well: only what class an error has is for programs. */
function withoutWords(said: Said): Said {
  return new Map([...said].map(([step, lines]) => [step, lines.map((line) => line.replace(CLASS, '$1'))]));
}

/** What is right, with the differences. One that is none (any more) is an error. */
function expected(right: Said, differences: readonly Difference[]): Said {
  const result = new Map(right);
  for (const { step, right: line, ours, why } of differences) {
    const lines = result.get(step);
    assert.ok(lines, `there is no step ${step}, which is to differ: ${why}`);
    const at = line === undefined ? 0 : lines.indexOf(line);
    assert.ok(at >= 0, `${step} has no line "${line}", which is to differ: ${why}\n${lines.join('\n')}`);
    const instead = lines.toSpliced(at, line === undefined ? lines.length : 1, ...ours);
    assert.notDeepEqual(instead, lines, `${step} does not differ: ${why}`);
    result.set(step, instead);
  }
  return result;
}

/** Shows the steps that differ, and no others. */
function same(got: Said, right: Said): void {
  const differences = [...right].flatMap(([step, lines]) => {
    const ours = got.get(step) ?? [];
    const length = Math.max(lines.length, ours.length);
    return Array.from({ length }, (_, i) => i)
      .filter((i) => lines[i] !== ours[i])
      .map((i) => `${step}: ${ours[i]}\n    instead of  ${lines[i]}`);
  });
  assert.equal(differences.join('\n'), '');
  assert.deepEqual([...got.keys()], [...right.keys()]);
}

export interface Client {
  readonly name: string;
  /** Builds the program, and the containerd in whose directory its ctr and shim are. */
  readonly build: () => { program: string; containerd: string };
  /** What our shim may have differently; and hawserd, besides. */
  readonly ofTheShim: readonly Difference[];
  readonly ofTheDaemon: readonly Difference[];
}

/** The tests of one client. */
export function peerSuite({ name, build, ofTheShim, ofTheDaemon }: Client): void {
  suite(name, { skip: withoutGo }, () => {
    let program: string;
    let stock: string;
    let ctr: string;
    let right: Said;

    before(() => {
      ({ program, containerd: stock } = build());
      ctr = join(stock, 'ctr');
    });

    test('with its own shim', async () => {
      const seen = new Map(await steps(program, { daemon: join(stock, 'containerd'), shims: stock, ctr }));
      for (const { step, right: lines } of MAY_BE_LOST) {
        if (isBroken(seen.get(step) ?? [])) seen.set(step, [...lines]);
        else assert.deepEqual(seen.get(step), lines);
      }
      right = seen;
      const broken = [...right].filter(([, lines]) => isBroken(lines));
      assert.deepEqual(broken, []);
    });

    test('with our shim', async () => {
      const got = await steps(program, { daemon: join(stock, 'containerd'), shims: shimDir, ctr });
      same(got, expected(right, ofTheShim));
    });

    test('hawserd in its place', async () => {
      const got = await steps(program, { daemon: join(top, 'bin/hawserd'), shims: shimDir, ctr });
      const fromShim = expected(right, ofTheShim);
      same(withoutWords(got), expected(withoutWords(fromShim), ofTheDaemon));
    });
  });
}
