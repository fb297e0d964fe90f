/** A plugin's section of the configuration, read with errors that name the key. */
type Section = Readonly<Record<string, unknown>>;

export function checkKeys(section: Section, known: readonly string[]): void {
  const unknown = Object.keys(section).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new Error(`${unknown} is no setting of this plugin; there are ${known.join(', ')}`);
}

export function readString(section: Section, key: string, fallback: string): string {
  const value = section[key] ?? fallback;
  if (typeof value !== 'string') throw new Error(`${key} is to be a string, not ${JSON.stringify(value)}`);
  return value;
}

/** A number above zero. */
export function readNumber(section: Section, key: string, fallback: number): number {
  const value = section[key] ?? fallback;
  if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value))
    throw new Error(`${key} is to be a number above 0, not ${JSON.stringify(value)}`);
  return value;
}
