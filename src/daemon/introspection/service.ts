/** Introspection: the daemon's plugins and itself, for `ctr plugins ls` and `ctr version`. */
import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { arch, platform } from 'node:process';
import {
  ContainerdServicesIntrospectionV1Introspection as Introspection,
  errdefs,
  type containerd,
} from '../../api/full.js';
import { TtrpcError } from '../../ttrpc/status.js';
import { compileFilters, entry, field } from '../filter/index.js';
import { bindService } from '../grpc/service.js';
import type { PluginRecord } from '../plugin/registry.js';
import { PluginType, type GrpcPlugin, type Informative, type Registration } from '../plugin/types.js';

type Plugin = containerd.services.introspection.v1.Plugin.$Properties;

/** As Go calls the machine. */
const ARCHITECTURE: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  arm64: 'arm64',
  arm: 'arm',
  ppc64: 'ppc64le',
  s390x: 's390x',
  riscv64: 'riscv64',
};

/** @param plugins what has become of each, in order */
export function introspectionPlugin(plugins: () => readonly PluginRecord[]): Registration {
  return {
    type: PluginType.Grpc,
    id: 'introspection',
    init: ({ daemon }): GrpcPlugin => ({
      services: [
        bindService(Introspection, {
          Plugins: ({ filters }) => {
            const matches = compileFilters(filters ?? []);
            return {
              plugins: plugins()
                .map(describe)
                .filter((plugin) => matches((path) => read(plugin, path))),
            };
          },
          Server: () => ({ uuid: identityIn(daemon.root), pid: process.pid, pidns: pidNamespace() }),
          PluginInfo: async ({ type, id, options }) => {
            const found = plugins().find(({ registration }) => registration.type === type && registration.id === id);
            if (found === undefined) throw errdefs.notFound(`plugin ${type}.${id}`);
            if (options == null) return { plugin: describe(found) };
            const { info } = (found.instance ?? {}) as Partial<Informative>;
            if (typeof info !== 'function')
              throw errdefs.notImplemented(`plugin ${found.name} tells nothing more of itself`);
            return { plugin: describe(found), extra: await info.call(found.instance, options) };
          },
        }),
      ],
    }),
  };
}

function describe({ registration, exports, capabilities, error }: PluginRecord): Plugin {
  const { type, id, requires = [] } = registration;
  return {
    type,
    id,
    requires: [...requires],
    platforms: [{ os: platform, architecture: ARCHITECTURE[arch] ?? arch }],
    exports: { ...exports },
    capabilities: [...capabilities],
    initErr: error === undefined ? null : { code: TtrpcError.from(error).code, message: error.message },
  };
}

function read(plugin: Plugin, [first = '', ...rest]: readonly string[]): string | undefined {
  switch (first) {
    case 'type':
      return field(plugin.type);
    case 'id':
      return field(plugin.id);
    case 'exports':
      return entry(plugin.exports, rest);
    case 'capabilities':
      return plugin.capabilities?.includes(rest.join('.')) ? '' : undefined;
    default:
      return undefined;
  }
}

/** The daemon's own id, which lasts as long as its root directory. */
export function identityIn(root: string): string {
  const file = join(root, 'uuid');
  try {
    const known = readFileSync(file, 'utf8').trim();
    if (known !== '') return known;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const made = randomUUID();
  writeFileSync(`${file}.new`, made, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
  return made;
}

function pidNamespace(): number {
  return statSync('/proc/self/ns/pid').ino;
}
