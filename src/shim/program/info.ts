/** The `-info` action: what this shim and its runtime can do (contract §1.9). */
import { containerd, google } from '../../api/gen/api.js';
import { Runtime } from '../../runc/index.js';
import { searchPath } from '../../sys/index.js';
import { decodeOptions } from '../runtime/options.js';
import { REVISION, VERSION } from '../observe/version.js';

const FEATURES_TYPE = 'types.containerd.io/opencontainers/runtime-spec/1/features/Features';

/** @returns an encoded RuntimeInfo */
export async function info(input: Uint8Array): Promise<Uint8Array> {
  const any = input.length > 0 ? google.protobuf.Any.decode(input) : undefined;
  const binary = decodeOptions(any).binaryName || 'runc';
  if (searchPath(binary) === undefined)
    throw new Error(`failed to look up the path of ${JSON.stringify(binary)}: executable file not found in $PATH`);
  const features = await new Runtime({ binary }).features().catch(() => undefined);
  return containerd.types.RuntimeInfo.encode({
    name: 'io.containerd.runc.v2',
    version: { version: VERSION, revision: REVISION },
    ...(any ? { options: any } : {}),
    ...(features === undefined ? {} : { features: { type_url: FEATURES_TYPE, value: Buffer.from(features) } }),
  }).finish();
}
