/** One `[runtimes.NAME]` section. */
import { didYouMean } from '../../text/nearest.js';
import type { Runtime } from '../runtime/types.js';
import type { ConfigFile } from './file.js';
import type { Table } from './table.js';
import { runtimeOptions } from './runtime-options.js';

/** @throws ConfigError with the place of what is wrong */
export function asRuntime(name: string, table: Table, file: ConfigFile): Runtime {
  const { shim, options = {}, ...rest } = table;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined)
    throw file.fault(
      ['runtimes', name, unknown],
      `unknown key ${unknown} of runtime ${name}${didYouMean(unknown, ['shim', 'options'])}`,
    );
  if (typeof shim !== 'string' || shim === '')
    throw file.fault(
      ['runtimes', name, ...(shim === undefined ? [] : ['shim'])],
      `runtime ${name} needs a shim: an absolute path, or a name such as io.containerd.runc.v2`,
    );
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw file.fault(['runtimes', name, 'options'], `options of runtime ${name} must be a section`);
  return {
    name,
    shim,
    options: runtimeOptions(options as Table, (key, message) =>
      file.fault(['runtimes', name, 'options', key], `runtime ${name}: ${message}`),
    ),
  };
}
