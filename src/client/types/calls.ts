/** What every call has in common. */
import type { containerd, google } from '../../api/full.js';

/** A message of any type: its type's name, and its bytes. */
export type Any = google.protobuf.Any.$Properties;

/** A mount as containerd and its shims exchange them. */
export type Mount = containerd.types.Mount.$Properties;

/** What any call may be given. */
export interface CallOptions {
  /** Gives the call up: it rejects with an AbortError, and what it had made is taken away again before it does. */
  readonly signal?: AbortSignal | undefined;
  /** Gives the call up after so many milliseconds, with a DeadlineExceededError. None unless given. */
  readonly timeoutMs?: number | undefined;
}
