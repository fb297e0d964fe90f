/** Moments in files, as containerd writes them: RFC 3339 with up to nine digits behind the point. */
export interface Moment {
  readonly seconds: number;
  readonly nanos: number;
}

/** Undefined for what is no time. A time without a fraction, or with a shorter one, is as good. */
export function parseTime(text: string): Moment | undefined {
  const ms = Date.parse(text.trim());
  if (Number.isNaN(ms)) return undefined;
  const digits = /\.(\d{1,9})/.exec(text)?.[1] ?? '';
  return { seconds: Math.floor(ms / 1000), nanos: Number(digits.padEnd(9, '0')) };
}

export function formatTime({ seconds, nanos }: Moment): string {
  return new Date(seconds * 1000).toISOString().replace(/\.000Z$/, `.${String(nanos).padStart(9, '0')}Z`);
}

/** Of two moments the one that is not before the other. */
export function later(a: Moment, b: Moment): Moment {
  return a.seconds > b.seconds || (a.seconds === b.seconds && a.nanos > b.nanos) ? a : b;
}
