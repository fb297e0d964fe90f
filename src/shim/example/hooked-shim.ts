#!/usr/bin/env node
/** Containers by runc, as always; but before one starts, the program that its annotation names is run for it. */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { runRuncShim } from 'hawser/shim';

const ANNOTATION = 'com.example.before-start';

await runRuncShim({
  sleeps: true,

  async beforeStart({ id, bundle, pid, spec }, { signal }) {
    const program = spec.annotations?.[ANNOTATION];
    if (program === undefined) return;
    // The container's namespaces are there by now: /proc/PID/ns, for a network for instance.
    await promisify(execFile)(program, [id, String(pid)], { cwd: bundle, signal, timeout: 10_000 });
  },

  cleanup({ id }) {
    rmSync(`/run/hooked/${id}`, { recursive: true, force: true });
  },
});
