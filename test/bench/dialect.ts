/** How a shim is told what to do, and how it answers: as containerd up to 2.2 does it, and as later ones do. */
import { containerd, pack } from '../../src/api/index.js';

const { BootstrapParams, BootstrapResult } = containerd.runtime.bootstrap.v1;

/** `params`: a protobuf message both ways, as from containerd 2.3; `plain`: no input, and a text for an answer. */
export type Dialect = 'params' | 'plain';

/** What `start` is told of the container and its daemon. */
export interface Beginning {
  id: string;
  namespace: string;
  /** Of the daemon, for events. */
  ttrpcAddress: string;
  grpcAddress: string;
  /** Where the shim's socket shall be. */
  socketDir: string;
  options: ReturnType<typeof pack>;
}

/** Standard input of `start`. */
export function inputFor(dialect: Dialect, beginning: Beginning): Uint8Array {
  if (dialect === 'plain') return new Uint8Array();
  return BootstrapParams.encode({
    instanceId: beginning.id,
    namespace: beginning.namespace,
    containerdVersion: '2.4.2',
    containerdTtrpcAddress: beginning.ttrpcAddress,
    containerdGrpcAddress: beginning.grpcAddress,
    containerdBinary: '/bin/true',
    extensions: [{ value: beginning.options }],
    socketDir: beginning.socketDir,
  }).finish();
}

/** Where a shim listens, and the version of its task service. */
export interface Answer {
  address: string;
  version: number;
}

/** Reads what `start` has written, in whichever dialect it is. @throws Error where there is no address in it */
export function parseAnswer(output: Uint8Array): Answer {
  const text = Buffer.from(output).toString('utf8').trim();
  if (text.startsWith('unix://')) return { address: text, version: 2 };
  const { address, version } = (
    text.startsWith('{') ? JSON.parse(text) : BootstrapResult.decode(output)
  ) as Partial<Answer>;
  if (!address) throw new Error(`no address in the answer of start: ${JSON.stringify(text.slice(0, 200))}`);
  return { address, version: version || 2 };
}
