/** What is the same for all shims, as a plugin: containerd has its settings there since 2.0. */
import { PluginType, type Registration } from '../plugin/types.js';

export interface ShimConfig {
  /** `NAME=VALUE`, each once. */
  readonly env: readonly string[];
}

/** Variables that shims are given, by name. */
export type ShimEnvironment = Readonly<Record<string, string>>;

/** It makes a {@link ShimEnvironment}. containerd's `socket_dir` is passed over: shims choose the places of their sockets. */
export const shimPlugin: Registration<ShimConfig> = {
  type: PluginType.Shim,
  id: 'manager',
  config: ({ env = [], socket_dir: _socketDir, ...rest }) => {
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw new Error(`${unknown} is no key of this plugin: it has env`);
    if (!Array.isArray(env) || !env.every((one) => typeof one === 'string' && /^[^=\0]+=[^\0]*$/.test(one)))
      throw new Error('env must be a list of texts, each NAME=VALUE');
    return { env: env as string[] };
  },
  init: ({ config }): ShimEnvironment =>
    Object.fromEntries(
      config.env.map((one) => {
        const at = one.indexOf('=');
        return [one.slice(0, at), one.slice(at + 1)];
      }),
    ),
};
