/** What is made when it is first asked for: a daemon has a hundred methods, and its client calls a few. */

/** An object with the names of another one. Each value is made of the other's value, once. */
export function lazily<T>(from: Readonly<Record<string, T>>, make: (value: T, name: string) => unknown): object {
  const made: object = {};
  for (const name of Object.keys(from))
    Object.defineProperty(made, name, {
      enumerable: true,
      configurable: true,
      get: () => {
        const value = make(from[name]!, name);
        Object.defineProperty(made, name, { value, enumerable: true, configurable: true, writable: true });
        return value;
      },
    });
  return made;
}
