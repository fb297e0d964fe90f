/** The runtime options of a request, from whichever type a client sent (contract §5). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument } from '../../api/errdefs.js';
import { containerd, runtimeoptions, type google } from '../../api/gen/api.js';
import { isType } from '../../api/typeurl.js';
import { tomlOptions } from './options-toml.js';
import type { RuntimeSettings } from '../record/record.js';

type Any = google.protobuf.Any.$Properties;
type Options = containerd.runc.v1.Options.$Properties;

export const DEFAULT_ROOT = '/run/containerd/runc';

const RUNC = 'containerd.runc.v1.Options';

/** Types that clients put options into, and what each says as runc's own (contract §5.4). */
const decoders: Record<string, (value: Uint8Array) => Options> = {
  [RUNC]: (value) => containerd.runc.v1.Options.decode(value),
  // dockerd 20.10 sends this for every runtime that it does not know to be runc's.
  'containerd.linux.runc.CreateOptions': (value) => containerd.linux.runc.CreateOptions.decode(value),
  // In records of containers that were made for the runtime v1.
  'containerd.linux.runc.RuncOptions': (value) => {
    const { runtime, runtimeRoot, criuPath, systemdCgroup } = containerd.linux.runc.RuncOptions.decode(value);
    return { binaryName: runtime, root: runtimeRoot, criuPath, systemdCgroup };
  },
  // From clients that know this shim by another name than runc's: kubelet's configuration, ctr --runtime-config-path.
  'runtimeoptions.v1.Options': (value) => {
    const { typeUrl, configPath, configBody } = runtimeoptions.v1.Options.decode(value);
    if (typeUrl && !isType({ type_url: typeUrl }, RUNC)) throw new Error(`they are for another runtime, ${typeUrl}`);
    if (configBody.length > 0) return tomlOptions(Buffer.from(configBody).toString('utf8'));
    return configPath ? tomlOptions(readFileSync(configPath, 'utf8')) : {};
  },
};

/** True for an Any that {@link decodeOptions} knows. */
export function isOptions(any: Any): boolean {
  return Object.keys(decoders).some((name) => isType(any, name));
}

/**
 * The options as runc's own type. Types that mean the same are translated; none gives the defaults.
 *
 * @throws InvalidArgument for a type that is not about runc, and when the bytes are not what their type says
 */
export function decodeOptions(any: Any | null | undefined): Options {
  if (!any?.value?.length) return {};
  const decode = Object.entries(decoders).find(([name]) => isType(any, name))?.[1];
  if (!decode)
    throw invalidArgument(
      `options of type ${JSON.stringify(any.type_url ?? '')} are not for this runtime, which takes ${RUNC}`,
    );
  try {
    return decode(any.value);
  } catch (error) {
    throw invalidArgument(`options of type ${any.type_url} cannot be decoded: ${(error as Error).message}`, error);
  }
}

/** How the runtime is to be called with these options. */
export function runtimeSettings(options: Options, namespace: string): RuntimeSettings {
  return {
    binary: options.binaryName || 'runc',
    root: join(options.root || DEFAULT_ROOT, namespace),
    systemdCgroup: options.systemdCgroup ?? false,
    criu: options.criuPath ?? '',
    criuWorkPath: options.criuWorkPath ?? '',
    noPivotRoot: options.noPivotRoot ?? false,
    noNewKeyring: options.noNewKeyring ?? false,
    ioUid: options.ioUid ?? 0,
    ioGid: options.ioGid ?? 0,
  };
}

/** The content of options.json: the Go shim's names, and what is zero is left out. */
export function optionsFile(options: Options): Record<string, unknown> {
  const all: Record<string, unknown> = {
    no_pivot_root: options.noPivotRoot,
    no_new_keyring: options.noNewKeyring,
    shim_cgroup: options.shimCgroup,
    io_uid: options.ioUid,
    io_gid: options.ioGid,
    binary_name: options.binaryName,
    root: options.root,
    criu_path: options.criuPath,
    systemd_cgroup: options.systemdCgroup,
    criu_image_path: options.criuImagePath,
    criu_work_path: options.criuWorkPath,
    task_api_address: options.taskApiAddress,
    task_api_version: options.taskApiVersion,
  };
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined && value !== '' && value !== 0 && value !== false),
  );
}
