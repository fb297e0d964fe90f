/** A second protocol on a server's socket. */
import assert from 'node:assert/strict';
import { connect as connectSocket, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Echo, running, until } from '../support/ttrpc-fixture.js';
import { RawPeer, rawFrame } from '../support/ttrpc-raw.js';

/** Says something, and collects what comes until the end. */
function say(t: TestContext, path: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connectSocket(path, () => socket.write(text));
    t.after(() => socket.destroy());
    socket
      .on('data', (chunk: Buffer) => chunks.push(chunk))
      .once('error', reject)
      .once('close', () => resolve(Buffer.concat(chunks).toString()));
  });
}

test('what is no frame may be taken over, with what has been read and what comes later', async (t) => {
  const taken: Socket[] = [];
  const other = (socket: Socket, first: Buffer): boolean => {
    if (first[0] !== 0x47) return false;
    taken.push(socket);
    let text = first.toString();
    const answer = (): void => {
      if (text.endsWith('!')) socket.end(`you said ${text}`);
    };
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      answer();
    });
    answer();
    return true;
  };
  const { path, server, echo } = await running(t, { Say: (text) => text }, { server: { other } });
  assert.equal(await say(t, path, 'Good morning!'), 'you said Good morning!');
  const slow = connectSocket(path, () => slow.write('G'));
  t.after(() => slow.destroy());
  await until(() => taken.length === 2);
  assert.equal(server.connections, 1, 'it is no client');
  const chunks: Buffer[] = [];
  slow.on('data', (chunk: Buffer) => chunks.push(chunk));
  slow.write('ood evening!');
  await new Promise((resolve) => slow.once('close', resolve));
  assert.equal(Buffer.concat(chunks).toString(), 'you said Good evening!');
  assert.equal(await echo.Say('still here'), 'still here');
});

test('what is not taken over is answered as any frame, and one that has begun is not offered', async (t) => {
  let offered = 0;
  const { path, client } = await running(
    t,
    { Say: (text) => text },
    {
      server: {
        other: () => {
          offered++;
          return false;
        },
      },
    },
  );
  const peer = await RawPeer.connect(path);
  t.after(() => peer.socket.destroy());
  const oversized = Buffer.alloc(10);
  oversized.writeUInt32BE(0x47000000, 0);
  oversized.writeUInt32BE(1, 4);
  oversized[8] = 1;
  peer.write(oversized);
  await until(() => offered === 1);
  await client.service(Echo).Say('G');
  assert.equal(offered, 1, 'a frame is not offered');
  const second = await RawPeer.connect(path);
  t.after(() => second.socket.destroy());
  second.write(rawFrame(2, 1), Buffer.from('GET'));
  assert.equal((await second.response()).streamId, 2);
  assert.equal(offered, 1);
});

test('it is not offered to who may not connect', async (t) => {
  let offered = 0;
  const { path } = await running(
    t,
    {},
    {
      server: {
        authorize: () => false,
        other: () => {
          offered++;
          return true;
        },
      },
    },
  );
  assert.equal(
    await say(t, path, 'GET /').catch((error: NodeJS.ErrnoException) => {
      assert.match(error.code ?? '', /EPIPE|ECONNRESET/);
      return '';
    }),
    '',
  );
  assert.equal(offered, 0);
});

test('without another protocol a server takes everything for frames', async (t) => {
  const { echo, path, server } = await running(t, { Say: (text) => text });
  const peer = await RawPeer.connect(path);
  t.after(() => peer.socket.destroy());
  peer.write(Buffer.from('GET / HTTP/1.0\r\n\r\n'));
  // An oversized frame, that is, which is refused when it has come to its end: after a gigabyte.
  assert.equal(await echo.Say('x'), 'x');
  assert.deepEqual([peer.pending, server.connections], [0, 2]);
});
