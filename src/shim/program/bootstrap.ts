/** What the daemon writes to the standard input of `start` and `-info`, in either dialect (contract §1.5). */
import { readSync } from 'node:fs';
import { containerd, google } from '../../api/gen/api.js';
import { decodeOptions, isOptions } from '../runtime/options.js';

type Options = containerd.runc.v1.Options.$Properties;

/** More than any daemon sends. */
const MAX_INPUT = 10 * 1024 * 1024;
const DEBUG = -4;

export interface Bootstrap {
  options: Options;
  /** Empty unless the daemon names one. */
  socketDir: string;
  debug: boolean;
  /** It was BootstrapParams: the daemon is a containerd 2.3 or later. */
  isParams: boolean;
}

/**
 * Reads the daemon's message. An Any also decodes as BootstrapParams, and the other way round, without an error; only
 * BootstrapParams that name this very shim are taken as such. What cannot be understood is no options.
 */
export function parseBootstrap(bytes: Uint8Array, id: string, namespace: string): Bootstrap {
  const nothing: Bootstrap = { options: {}, socketDir: '', debug: false, isParams: false };
  if (bytes.length === 0) return nothing;
  const params = tryDecode(() => containerd.runtime.bootstrap.v1.BootstrapParams.decode(bytes));
  if (params?.instanceId === id && params.namespace === namespace) {
    const options = params.extensions.map(({ value }) => value).find((value) => value != null && isOptions(value));
    return {
      options: tryDecode(() => decodeOptions(options)) ?? {},
      socketDir: params.socketDir ?? '',
      debug: (params.logLevel as number) <= DEBUG,
      isParams: true,
    };
  }
  return { ...nothing, options: tryDecode(() => decodeOptions(google.protobuf.Any.decode(bytes))) ?? {} };
}

/** Everything on standard input. */
export function readInput(fd = 0): Uint8Array {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const chunk = Buffer.alloc(4096);
    const n = readSync(fd, chunk);
    if (n === 0) return Buffer.concat(chunks);
    length += n;
    if (length > MAX_INPUT) throw new Error(`standard input is longer than ${MAX_INPUT} bytes`);
    chunks.push(chunk.subarray(0, n));
  }
}

function tryDecode<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    // Every daemon since 1.7 goes on without options that it cannot read, and so do we.
    if (error instanceof Error) return undefined;
    throw error;
  }
}
