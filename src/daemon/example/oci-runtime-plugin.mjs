/**
 * An external plugin that adds a runtime: hawserd's own shim with another OCI runtime under it, for those that have runc's
 * command line (crun with WebAssembly, gVisor's runsc, a script that wraps runc).
 *
 * In the configuration:
 *
 *     external_plugins = ["/path/of/oci-runtime-plugin.mjs"]
 *
 *     [plugins."io.hawser.runtime.v1.wasm"]
 *       name = "io.example.wasm.v1"
 *       binary = "/usr/local/bin/crun-wasm"
 *
 * and then `ctr run --runtime io.example.wasm.v1 …`. Where a name and a path are all there is to it, a section
 * [runtimes."io.example.wasm.v1"] says the same without a plugin; a plugin can look before it registers, as this one does.
 */
import { accessSync, constants } from 'node:fs';

/** containerd.runc.v1.Options with `binary_name` alone: field 6, a text of up to 127 bytes. */
function options(binary) {
  const bytes = Buffer.from(binary);
  if (bytes.length > 127) throw new Error(`binary ${binary}: the path is longer than 127 bytes`);
  return { type_url: 'containerd.runc.v1.Options', value: Buffer.concat([Buffer.of(0x32, bytes.length), bytes]) };
}

export default {
  type: 'io.hawser.runtime.v1',
  id: 'wasm',

  config: ({ name = 'io.example.wasm.v1', binary }) => {
    if (typeof binary !== 'string' || !binary.startsWith('/'))
      throw new Error('binary must be the absolute path of an OCI runtime');
    return { name, binary };
  },

  init: ({ config: { name, binary }, runtimes, exports }) => {
    accessSync(binary, constants.X_OK);
    // Another shim would do as well: an absolute path, or a name such as io.containerd.kata.v2.
    const { shim } = runtimes.get('io.containerd.runc.v2');
    runtimes.register({ name, shim, options: options(binary) });
    exports.runtime = name;
    exports.binary = binary;
  },
};
