import type { google } from './gen/api.js';

type Timestamp = google.protobuf.Timestamp.$Properties;

/** Go's zero time, the year 1: what "has not happened" is on the wire (contract §3.1). It must be sent, not left out. */
export const ZERO_TIME: Timestamp = { seconds: -62135596800, nanos: 0 };

/** A moment in milliseconds since the epoch; undefined is {@link ZERO_TIME}. */
export function timestamp(ms: number | undefined): Timestamp {
  if (ms === undefined) return ZERO_TIME;
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.min(Math.round((ms - seconds * 1000) * 1e6), 999_999_999) };
}

/** Milliseconds since the epoch; undefined for a missing or zero time. */
export function millis(time: Timestamp | null | undefined): number | undefined {
  if (time?.seconds == null) return undefined;
  const seconds = Number(time.seconds);
  return seconds === ZERO_TIME.seconds ? undefined : seconds * 1000 + (time.nanos ?? 0) / 1e6;
}
