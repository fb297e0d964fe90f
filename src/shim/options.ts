/** The runtime options of a request, from whichever type a client sent (contract §5). */
import { join } from 'node:path';
import { invalidArgument } from '../api/errdefs.js';
import { containerd, type google } from '../api/gen/api.js';
import { isType } from '../api/typeurl.js';
import type { RuntimeSettings } from './record.js';

type Any = google.protobuf.Any.$Properties;
type Options = containerd.runc.v1.Options.$Properties;

export const DEFAULT_ROOT = '/run/containerd/runc';

/**
 * The options as runc's own type. Types that mean the same are translated; none, or one that is not about runc, gives
 * the defaults.
 *
 * @throws InvalidArgument when the bytes are not what their type says
 */
export function decodeOptions(any: Any | null | undefined): Options {
  if (!any?.value?.length) return {};
  try {
    if (isType(any, 'containerd.runc.v1.Options')) return containerd.runc.v1.Options.decode(any.value);
    // dockerd 20.10 sends this for every runtime that it does not know to be runc's.
    if (isType(any, 'containerd.linux.runc.CreateOptions')) return containerd.linux.runc.CreateOptions.decode(any.value);
  } catch (error) {
    throw invalidArgument(`options of type ${any.type_url} cannot be decoded: ${(error as Error).message}`, error);
  }
  return {};
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
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value !== '' && value !== 0 && value !== false));
}
