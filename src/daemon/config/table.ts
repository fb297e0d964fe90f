/** A table of TOML, as it was parsed: nothing of it is checked. */
export type Table = Readonly<Record<string, unknown>>;
