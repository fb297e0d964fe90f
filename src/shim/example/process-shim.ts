#!/usr/bin/env node
/** Runs a container's command as a plain process of the host, in the container's root file system, without runc. */
import { holdProcess, runShim, signalProcess, startProcess, type HeldProcess, type ProcessSpec } from 'hawser/shim';

/** Those that wait for their start: after it nobody asks for them. */
const processes = new Map<string, HeldProcess>();

/** chroot is all the isolation that there is. */
const command = (root: string, { args = [], cwd = '/' }: ProcessSpec): string[] => [
  '/usr/sbin/chroot',
  root,
  '/bin/sh',
  '-c',
  'cd "$0" && exec "$@"',
  cwd,
  ...args,
];

await runShim({
  // Of a container that runs it knows nothing by itself.
  sleeps: true,

  create(container) {
    const { process = {} } = container.spec;
    const held = holdProcess(container, command(container.rootfs, process), { env: process.env ?? [] });
    processes.set(container.id, held);
    return held.pid;
  },

  start({ id }) {
    processes.get(id)?.release();
  },

  exec({ rootfs }, exec) {
    return startProcess(exec, command(rootfs, exec.spec), { env: exec.spec.env ?? [] }).pid;
  },

  kill({ pid }, signal, { all }) {
    signalProcess(pid, signal, { all });
  },

  delete({ id }) {
    processes.delete(id);
  },
});
