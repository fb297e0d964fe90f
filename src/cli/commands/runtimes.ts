/** hawser runtimes: the shims that the daemon finds, and what they say of themselves. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { containerd, google } from '../../api/full.js';
import type { Client } from '../../client/index.js';
import type { Globals } from '../address.js';
import { list } from '../format/output.js';
import { withSession } from '../session.js';

const SHIM = /^containerd-shim-(.+)-(v\d+)$/;
const DEFAULT = 'io.containerd.runc.v2';

interface RuntimeRecord extends Record<string, unknown> {
  readonly Name: string;
  readonly Shim: string;
  readonly Version: string;
  readonly Default: string;
}

export async function runtimesCommand({ format }: { format?: string }, globals: Globals): Promise<void> {
  const records = await withSession(globals, async ({ client }) => {
    const { pid } = await client.services.introspection.Server({});
    const found = new Map([[DEFAULT, ''], ...shimsOf(Number(pid))]);
    return Promise.all([...found].map(([name, path]) => describe(client, name, path)));
  });
  process.stdout.write(
    list(records, { RUNTIME: 'Name', DEFAULT: 'Default', VERSION: 'Version', SHIM: 'Shim' }, { format, idKey: 'Name' }),
  );
}

/** Names of runtimes, with the shims that the daemon's PATH has for them. The first directory wins. */
export function shimsOf(daemon: number): Map<string, string> {
  const found = new Map<string, string>();
  for (const directory of pathOf(daemon)) {
    for (const file of filesIn(directory)) {
      const [, name, version] = SHIM.exec(file) ?? [];
      if (name !== undefined && !found.has(`io.containerd.${name}.${version!}`))
        found.set(`io.containerd.${name}.${version!}`, join(directory, file));
    }
  }
  return found;
}

async function describe(client: Client, name: string, path: string): Promise<RuntimeRecord> {
  const told = await ask(client, name);
  return {
    Name: name,
    Default: name === DEFAULT ? '*' : '',
    Version: told?.version?.version ?? '',
    Revision: told?.version?.revision ?? '',
    Shim: told?.annotations?.['containerd.io/runtime-path'] ?? path,
    Told: told?.name ?? '',
  };
}

/** Undefined when the daemon cannot ask shims (containerd before 2.0), or this one does not say. */
async function ask(client: Client, name: string): Promise<containerd.types.RuntimeInfo | undefined> {
  const [{ ClientError }, { containerd }] = await Promise.all([
    import('../../client/index.js'),
    import('../../api/full.js'),
  ]);
  try {
    const options: google.protobuf.Any.$Properties = {
      type_url: 'containerd.types.RuntimeRequest',
      value: containerd.types.RuntimeRequest.encode({ runtimePath: name }).finish(),
    };
    const { extra } = await client.services.introspection.PluginInfo(
      { type: 'io.containerd.runtime.v2', id: 'task', options },
      { timeoutMs: 5000 },
    );
    return extra?.value ? containerd.types.RuntimeInfo.decode(extra.value) : undefined;
  } catch (error) {
    if (error instanceof ClientError) return undefined;
    throw error;
  }
}

function pathOf(pid: number): string[] {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
    const path = environment.find((one) => one.startsWith('PATH='))?.slice('PATH='.length);
    return (path ?? '').split(':').filter(Boolean);
  } catch (error) {
    // Another machine's, or another user's.
    if (error instanceof Error && 'code' in error) return [];
    throw error;
  }
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return [];
    throw error;
  }
}
