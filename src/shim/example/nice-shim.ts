#!/usr/bin/env node
/** Plain processes of the host, as nice to others as the client's last Update says; so are those that come later. */
import { setPriority } from 'node:os';
import { holdProcess, runShim, signalProcess, startProcess, type HeldProcess } from 'hawser/shim';

const processes = new Map<string, HeldProcess>();
/** By container. It is kept over a sleep. */
const nice = new Map<string, number>();

await runShim({
  sleeps: {
    record: ({ id }) => nice.get(id) ?? 0,
    restore: ({ id }, kept) => void nice.set(id, kept),
  },

  create(container) {
    const held = holdProcess(container, container.spec.process?.args ?? []);
    processes.set(container.id, held);
    return held.pid;
  },

  start({ id }) {
    processes.get(id)?.release();
    processes.delete(id);
  },

  exec({ id }, exec) {
    const { pid } = startProcess(exec, exec.spec.args ?? []);
    setPriority(pid, nice.get(id) ?? 0);
    return pid;
  },

  // `ctr tasks update` sends an OCI LinuxResources: CPU shares, 1024 being the usual.
  update({ id, pid }, { cpu }) {
    const { shares = 1024 } = (cpu ?? {}) as { shares?: number };
    nice.set(id, shares < 1024 ? 10 : 0);
    setPriority(pid, nice.get(id)!);
  },

  kill({ pid }, signal, { all }) {
    signalProcess(pid, signal, { all });
  },

  delete({ id }) {
    nice.delete(id);
  },
});
