/** How long events are held back when a daemon has come back. Real time passes between the lines: hence the wide bounds. */
import assert from 'node:assert/strict';
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Absence } from '../../src/shim/events/absence.js';
import { tempDir } from './fixtures/support.js';

const SECOND = 1000;
const SETTLE_MS = 10 * SECOND;
const START = Date.UTC(2030, 0, 1);

interface Setup {
  absence: Absence;
  /** Sets the clock, in seconds after the start. */
  at: (seconds: number) => void;
  /** The daemon binds its socket at a time; tells the path. */
  bind: (seconds: number) => string;
  /** What is left to wait, in seconds, is about this. */
  waits: (seconds: number) => void;
}

function setup(t: TestContext): Setup {
  t.mock.timers.enable({ apis: ['Date'], now: START });
  const path = join(tempDir(t), 'socket');
  const absence = new Absence(undefined, SETTLE_MS);
  return {
    absence,
    at: (seconds) => t.mock.timers.setTime(START + seconds * SECOND),
    bind(seconds) {
      writeFileSync(path, '');
      const then = new Date(START + seconds * SECOND);
      utimesSync(path, then, then);
      return path;
    },
    waits(seconds) {
      const left = absence.remainingMs / SECOND;
      assert.ok(left <= seconds && left > seconds - 5, `${left} s are left, expected are ${seconds} s`);
    },
  };
}

test('the first daemon is not waited for, nor is one that has been there all along', (t) => {
  const { absence, at, bind, waits } = setup(t);
  absence.back(bind(0));
  waits(0);
  at(100);
  absence.lost();
  at(101);
  absence.back(bind(0));
  waits(0);
});

test('the clients of one that comes back have as long as it was away, and some seconds, from when it bound its socket', (t) => {
  const { absence, at, bind, waits } = setup(t);
  absence.back(bind(0));
  at(100);
  absence.lost();
  at(110);
  absence.lost();
  at(120);
  absence.back(bind(120));
  waits(30);
});

test('so it is when only the first attempt failed', (t) => {
  const { absence, at, bind, waits } = setup(t);
  absence.lost();
  at(20);
  absence.back(bind(20));
  waits(30);
});

test('the time since it came back counts, and what is over is over', (t) => {
  const { absence, at, bind, waits } = setup(t);
  absence.back(bind(0));
  at(100);
  absence.lost();
  at(135);
  absence.back(bind(120));
  waits(15);
  absence.lost();
  at(1000);
  absence.back(bind(121));
  waits(0);
});

test('one that was away for hours is waited for no longer than its clients pause at most', (t) => {
  const { absence, at, bind, waits } = setup(t);
  absence.back(bind(0));
  at(100);
  absence.lost();
  at(10_000);
  absence.back(bind(10_000));
  waits(75);
});

test('one that goes away again before its clients were back has been away all the time', (t) => {
  const { absence, at, bind, waits } = setup(t);
  absence.back(bind(0));
  at(100);
  absence.lost();
  at(110);
  absence.back(bind(110));
  absence.lost();
  at(120);
  absence.back(bind(120));
  waits(30);
});

test('a client that commands is back, if the command came since', (t) => {
  const { absence, at, bind, waits } = setup(t);
  absence.back(bind(0));
  at(100);
  absence.commanded();
  absence.lost();
  at(120);
  absence.back(bind(120));
  waits(30);
  absence.commanded();
  waits(1);
  absence.lost();
  at(140);
  bind(140);
  at(141);
  absence.commanded();
  at(150);
  absence.back(bind(140));
  waits(0);
});

test('a clock that was set back meanwhile does not make it longer', (t) => {
  const { absence, at, bind, waits } = setup(t);
  absence.back(bind(0));
  at(1000);
  absence.lost();
  at(500);
  absence.back(bind(500));
  waits(10);
});

test('a socket without a file may have been bound just now', (t) => {
  const { absence, at, waits } = setup(t);
  absence.lost();
  at(20);
  absence.back('/nowhere/socket');
  waits(30);
});
