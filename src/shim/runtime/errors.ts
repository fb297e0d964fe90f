/** What clients are told when the OCI runtime fails. They match these texts, so runc's own words stay (contract §6.4). */
import { notFound, unknown } from '../../api/errdefs.js';
import { RuntimeError } from '../../runc/index.js';
import { TtrpcError } from '../../ttrpc/status.js';

/** runc says that it does not exist; crun names what it looked for in its state directory. */
const UNKNOWN_CONTAINER =
  /does not exist|cannot open directory `[^`]*`: No such file or directory|error opening file `[^`]*\/status`: No such file or directory/i;

/** `prefix: what the runtime logged`, or what it printed when it logged nothing. */
export function runtimeFailure(prefix: string, error: unknown): TtrpcError {
  if (error instanceof TtrpcError) return error;
  const text = error instanceof RuntimeError && error.logged ? error.logged : (error as Error).message;
  return unknown(`${prefix}: ${text}`, error);
}

/** A failed `kill`: mostly the process is gone already, which clients must be able to tell from a failure. */
export function killFailure(error: unknown): TtrpcError {
  if (error instanceof TtrpcError) return error;
  const text = (error as Error).message;
  const all = `${text} ${error instanceof RuntimeError ? (error.logged ?? '') : ''}`.toLowerCase();
  if (/process already finished|container not running|no such process/.test(all))
    return notFound('process already finished', error);
  if (UNKNOWN_CONTAINER.test(all)) return notFound('no such container', error);
  return unknown(`unknown error after kill: ${text}`, error);
}

/** A runtime that no longer knows the container says so; deleting it is then done. */
export function isUnknownContainer(error: unknown): boolean {
  return error instanceof RuntimeError && UNKNOWN_CONTAINER.test(`${error.message} ${error.logged ?? ''}`);
}
