/** `name-server.ts ADDRESS`: a server of names there that knows one, {@link KNOWN}, and says of all others that there are none (RFC 1035). */
import { createSocket } from 'node:dgram';
import { fileURLToPath } from 'node:url';

/** Of reserved ones (RFC 6761, RFC 5737). */
export const KNOWN = { name: 'world.test', address: '192.0.2.1' } as const;
export const NAME_SERVER = fileURLToPath(import.meta.url);

const [HEADER, TYPE_AND_CLASS, TYPE_A] = [12, 4, 1];

/** Answers the first question, and repeats it, as clients look for it. */
function answer(query: Buffer): Buffer {
  const labels: string[] = [];
  let at = HEADER;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const end = at + 1 + TYPE_AND_CLASS;
  const isKnown = labels.join('.').toLowerCase() === KNOWN.name;
  const records = isKnown && query.readUInt16BE(at + 1) === TYPE_A ? 1 : 0;
  const header = Buffer.from(query.subarray(0, HEADER));
  // An answer, with recursion, and an error of 3 (NXDOMAIN) or none; then the counts of questions, answers and what we never have.
  header.writeUInt16BE(isKnown ? 0x8180 : 0x8183, 2);
  for (const [i, count] of [1, records, 0, 0].entries()) header.writeUInt16BE(count, 4 + 2 * i);
  // The question's name (a pointer to it), type and class of an address, a minute, four bytes.
  const record = [0xc0, HEADER, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, ...KNOWN.address.split('.').map(Number)];
  return Buffer.concat([header, query.subarray(HEADER, end), Buffer.from(records === 0 ? [] : record)]);
}

if (process.argv[1] === NAME_SERVER) {
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => socket.send(answer(query), port, address));
  socket.bind(53, process.argv[2], () => console.log('listening'));
}
