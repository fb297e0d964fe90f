/** The Go shim of Debian's containerd, made to look at a container that another shim has created. */
import { join } from 'node:path';
import type { google } from '../../src/api/index.js';
import { stockDir } from './daemons.js';
import type { Lab } from './shim.js';

export const STOCK_SHIM = process.env.HAWSER_TEST_STOCK_SHIM || join(stockDir, 'containerd-shim-runc-v2');

/**
 * A function that asks the Go shim for the Stats of the container with this init. Its runtime is a script that creates
 * nothing and says that the init is this one; the shim loads the cgroup of that process, as it does of any.
 * The shim ends with the lab.
 */
export async function stockStats(lab: Lab, pid: number): Promise<() => Promise<google.protobuf.Any.$Properties>> {
  const id = `stock-${pid}`;
  const binaryName = lab.fakeRunc(
    `runc-${id}`,
    `if [ "$command" = create ]; then
  previous=
  for word; do
    if [ "$previous" = --pid-file ]; then printf %s ${pid} >"$word"; fi
    previous=$word
  done
fi
exit 0`,
  );
  lab.bundle(id);
  const shim = await lab.shim(id, { binary: STOCK_SHIM });
  await shim.create(id, { stdout: '', stderr: '', options: { binaryName } });
  return async () => (await shim.task.Stats({ id })).stats ?? {};
}
