/** hawser plugins: what the daemon is made of. */
import type { Globals } from '../address.js';
import { list } from '../format/output.js';
import { withSession } from '../session.js';

export async function pluginsCommand({ format }: { format?: string }, globals: Globals): Promise<void> {
  const { plugins } = await withSession(globals, ({ client }) =>
    client.services.introspection.Plugins({ filters: [] }),
  );
  const records = plugins.map(({ type, id, platforms, initErr, capabilities, exports, requires }) => ({
    Type: type,
    ID: id,
    Platforms: (platforms ?? []).map(({ os, architecture }) => `${os}/${architecture}`).join(',') || '-',
    // What it was not meant to be is no failure.
    Status:
      !initErr?.message && !initErr?.code ? 'ok' : (initErr.message ?? '').includes('skip plugin') ? 'skip' : 'error',
    Error: initErr?.message ?? '',
    Capabilities: capabilities,
    Exports: exports,
    Requires: requires,
  }));
  process.stdout.write(
    list(records, { TYPE: 'Type', ID: 'ID', PLATFORMS: 'Platforms', STATUS: 'Status' }, { format, idKey: 'ID' }),
  );
}
