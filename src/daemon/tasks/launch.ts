/** Starting a shim for a bundle, and reaching one. */
import type { google } from '../../api/full.js';
import type { CallOptions } from '../../ttrpc/index.js';
import type { Bootstrap } from '../shims/answer.js';
import { ShimConnection } from '../shims/connection.js';
import type { ShimLauncher } from '../shims/launcher.js';
import type { TaskBundle } from './bundle.js';
import { prefixed } from './failure.js';

/** How long a new connection may take; somebody who listens is connected to at once. */
const CONNECT_MS = 10_000;

/** The program of a runtime; throws with what was attempted. */
export function resolveFor(launcher: ShimLauncher, shim: string): string {
  try {
    return launcher.resolve(shim);
  } catch (error) {
    throw prefixed('failed to start shim: failed to resolve runtime path', error);
  }
}

/** Has a shim serve the bundle, notes in it where, and connects. */
export async function startShim(
  launcher: ShimLauncher,
  binary: string,
  bundle: TaskBundle,
  options: google.protobuf.Any.$Properties | undefined,
  call: CallOptions,
): Promise<ShimConnection> {
  let bootstrap: Bootstrap;
  try {
    bootstrap = await launcher.start(binary, bundle, options, call.signal);
  } catch (error) {
    throw prefixed('failed to start shim: start failed', error);
  }
  bundle.writeBootstrap(bootstrap);
  return connectTo(bootstrap, `failed to start shim: ${binary} says it listens at ${bootstrap.address}, but`);
}

/** Joins the shim of a sandbox, and notes in the bundle that it is one. */
export async function joinShim(
  bundle: TaskBundle,
  sandbox: { readonly id: string; readonly bootstrap: Bootstrap },
): Promise<ShimConnection> {
  // First, as a clean-up must not take the shim for the task's own.
  bundle.writeSandbox(sandbox.id);
  bundle.writeBootstrap(sandbox.bootstrap);
  return connectTo(sandbox.bootstrap, `failed to join the shim of sandbox ${sandbox.id}:`);
}

async function connectTo(bootstrap: Bootstrap, what: string): Promise<ShimConnection> {
  try {
    return await ShimConnection.open(bootstrap, CONNECT_MS);
  } catch (error) {
    throw prefixed(what, error);
  }
}
