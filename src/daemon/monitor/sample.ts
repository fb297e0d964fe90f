/** Figures of one container, under the names that containerd's own metrics have. */

/** One figure: `container_<name>_<unit>`, with what tells it from others of its name. */
export interface Sample {
  readonly name: string;
  readonly help: string;
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

type Unit = 'bytes' | 'total' | 'nanoseconds' | 'microseconds' | 'limit' | 'current';
/** A 64-bit field as protobufjs gives it, with or without the package `long`. */
export type Figure = number | { low: number; high: number } | null | undefined;

/** Above 2^53 it is the nearest double, which is what Prometheus counts in. */
export function numberOf(figure: Figure): number {
  if (figure == null) return 0;
  return typeof figure === 'number' ? figure : (figure.high >>> 0) * 2 ** 32 + (figure.low >>> 0);
}

export function sample(
  name: string,
  unit: Unit,
  help: string,
  value: Figure,
  labels?: Readonly<Record<string, string>>,
): Sample {
  return { name: `container_${name}_${unit}`, help, value: numberOf(value), ...(labels && { labels }) };
}

/** Every plain figure of a message, named after its field. */
export function samplesOf(
  prefix: string,
  unit: Unit,
  message: object,
  names: Readonly<Record<string, string>> = {},
): Sample[] {
  return Object.entries(message).flatMap(([field, value]) => {
    if (!isFigure(value)) return [];
    const name = names[field] ?? field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return [sample(`${prefix}${name}`, unit, `The ${name} amount`, value)];
  });
}

function isFigure(value: unknown): value is Figure {
  return (
    typeof value === 'number' || (typeof value === 'object' && value !== null && 'low' in value && 'high' in value)
  );
}
