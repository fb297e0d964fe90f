/** What containerd's store takes, in the words in which it refuses the rest. */
import type { containerd } from '../../api/full.js';
import { errdefs } from '../../api/full.js';
import { checkIdentifier } from '../../api/identifier.js';
import type { Labels } from './mask.js';

type Descriptor = containerd.types.Descriptor.$Properties;

const MAX_LABEL = 4096;
const SHOWN_KEY = 64;
/** Length of a digest in hex, by the algorithms that the OCI image format knows. */
const ALGORITHMS = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
]);

/** Checks an identifier; `place` names the field in front of the error. */
export function checkName(place: string, id: string): void {
  within(place, () => checkIdentifier('identifier', id));
}

/** A label's key and value have at most 4096 bytes together. */
export function checkLabels(place: string, labels: Labels | null | undefined): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    const length = Buffer.byteLength(key) + Buffer.byteLength(value);
    if (length <= MAX_LABEL) continue;
    throw errdefs.invalidArgument(
      `${place}: label key and value length (${length} bytes) greater than maximum size (${MAX_LABEL} bytes), key: ${key.slice(0, SHOWN_KEY)}`,
    );
  }
}

/** Refuses what is no digest: `sha256:` and 64 hexadecimal digits, or the same of sha384 and sha512. */
export function checkDigest(digest: string, place = `digest ${JSON.stringify(digest)}`): void {
  const at = digest.indexOf(':');
  const length = ALGORITHMS.get(digest.slice(0, at));
  const hex = digest.slice(at + 1);
  if (at <= 0 || hex === '') throw errdefs.invalidArgument(`${place}: invalid checksum digest format`);
  if (length === undefined) throw errdefs.invalidArgument(`${place}: unsupported digest algorithm`);
  if (hex.length !== length) throw errdefs.invalidArgument(`${place}: invalid checksum digest length`);
  if (!/^[a-f0-9]+$/.test(hex)) throw errdefs.invalidArgument(`${place}: invalid checksum digest format`);
}

/** What an image names. */
export function checkTarget(target: Descriptor | null | undefined): void {
  const digest = target?.digest ?? '';
  checkDigest(digest, `Target.Digest ${JSON.stringify(digest)} invalid`);
  if (Number(target?.size ?? 0) <= 0) throw errdefs.invalidArgument('Target.Size must be greater than zero');
  if (!target?.mediaType) throw errdefs.invalidArgument('Target.MediaType must be set');
}

/** Puts a word in front of an error's text. */
export function within<R>(place: string, check: () => R): R {
  try {
    return check();
  } catch (error) {
    if (error instanceof Error && place !== '') error.message = `${place}: ${error.message}`;
    throw error;
  }
}
