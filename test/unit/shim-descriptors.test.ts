import assert from 'node:assert/strict';
import { closeSync, fstatSync } from 'node:fs';
import { test } from 'node:test';
import { Descriptors } from '../../src/shim/stdio/descriptors.js';
import { makeMemfd } from '../../src/sys/index.js';
import { leavesNothingOpen } from './fixtures/support.js';

const isOpen = (fd: number): boolean => {
  try {
    fstatSync(fd);
    return true;
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EBADF');
    return false;
  }
};

test('each is found by its name, until it is closed', () => {
  const fds = new Descriptors();
  const one = fds.add('one', makeMemfd('1'));
  const two = fds.add('two', makeMemfd('2'));
  assert.deepEqual([fds.get('one'), fds.get('two'), fds.get('three')], [one, two, undefined]);
  assert.deepEqual(fds.list(), { one, two });
  fds.close('one', 'three');
  assert.deepEqual(fds.list(), { two });
  assert.deepEqual([isOpen(one), isOpen(two)], [false, true]);
  fds.closeAll();
  assert.deepEqual([fds.list(), isOpen(two)], [{}, false]);
});

test('bug 50: a number that was closed and is somebody else’s by now is not closed again', () => {
  const fds = new Descriptors();
  const fd = fds.add('one', makeMemfd('ours'));
  fds.close('one');
  const theirs = makeMemfd('theirs');
  assert.equal(theirs, fd, 'the kernel gives the lowest free number');
  fds.close('one');
  fds.closeAll();
  assert.ok(isOpen(theirs));
  closeSync(theirs);
});

test('a name is not given twice, but again after it was closed', () => {
  const fds = new Descriptors();
  const first = fds.add('one', makeMemfd('first'));
  const second = makeMemfd('second');
  assert.throws(() => fds.add('one', second), { message: 'descriptor one is open already' });
  assert.equal(fds.get('one'), first);
  fds.close('one');
  assert.equal(fds.add('one', second), second);
  fds.closeAll();
});

test('nothing stays open', () =>
  leavesNothingOpen(() => {
    const fds = new Descriptors();
    for (const name of ['a', 'b', 'c']) fds.add(name, makeMemfd(name));
    fds.close('b');
    fds.closeAll();
  }));
