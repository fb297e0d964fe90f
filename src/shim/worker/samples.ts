/**
 * One of each kind of object that every request passes through. When V8 collects, it takes code that is optimized for a kind of
 * object of which there is none at that moment for code that nobody needs any more.
 */
import protobuf from 'protobufjs/minimal.js';
import { containerd, google } from '../../api/gen/api.js';
import { ttrpc } from '../../ttrpc/gen/ttrpc.js';

interface MessageType<T> {
  encode(message: T): protobuf.Writer;
  decode(reader: protobuf.Reader): unknown;
}

const AT = { seconds: 1_700_000_000, nanos: 1 };

/** To be held while it is collected. */
export function samples(): readonly unknown[] {
  const payload = Buffer.from('id');
  return [
    ...sampleOf(ttrpc.Request, {
      service: 's',
      method: 'm',
      payload,
      timeoutNano: 1,
      metadata: [{ key: 'k', value: 'v' }],
    }),
    ...sampleOf(ttrpc.Response, { payload }),
    ...sampleOf(google.protobuf.Timestamp, AT),
    ...sampleOf(containerd.task.v2.StateRequest, { id: 'id' }),
    ...sampleOf(containerd.task.v2.StateResponse, { id: 'id', bundle: '/b', pid: 1, status: 1, exitedAt: AT }),
    protobuf.util.LongBits.fromNumber(AT.seconds),
  ];
}

function sampleOf<T>(type: MessageType<T>, message: T): unknown[] {
  const writer = type.encode(message);
  const reader = protobuf.Reader.create(writer.finish());
  return [writer, reader, type.decode(reader)];
}
