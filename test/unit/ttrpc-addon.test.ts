import assert from 'node:assert/strict';
import { createServer, Socket } from 'node:net';
import { test } from 'node:test';
import { Server } from '../../src/ttrpc/index.js';

test('without the native addon, a server that needs it says what to do', async (t) => {
  t.mock.method(process, 'dlopen', () => {
    throw new Error('cannot open shared object file');
  });
  const errors: Error[] = [];
  const server = new Server({ onError: (error) => errors.push(error) });
  await assert.rejects(
    server.serve(createServer()),
    /^Error: ttrpc: cannot tell who connects.*make build.*authorize: 'none'/,
  );
  const socket = new Socket();
  await server.accept(socket);
  assert.ok(socket.destroyed);
  assert.match(errors[0]!.message, /cannot tell who connects/);
  await new Server({ authorize: 'none' }).serve(createServer());
});
