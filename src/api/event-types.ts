/** The messages that events carry, by the names that they have in an Any. */
import { containerd } from './gen/full.js';

const { ImageCreate, ImageUpdate, ImageDelete } = containerd.services.images.v1;

/** containerd has these in the package of their service; all other events are in `containerd.events`. */
const OF_IMAGES = { ImageCreate, ImageUpdate, ImageDelete };

type AllTypes = typeof containerd.events & typeof OF_IMAGES;

/** The short names of events: `TaskExit`, `ImageCreate`. */
export type EventName = {
  [Name in keyof AllTypes]: AllTypes[Name] extends { encode: unknown } ? Name : never;
}[keyof AllTypes];

/** What an event of this name is made of. */
export type EventInit<Name extends EventName> = Parameters<AllTypes[Name]['encode']>[0];

interface EventType {
  encode(message: unknown): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Record<string, unknown>;
}

const TYPES = new Map<string, EventType>(
  [
    ...Object.entries(containerd.events).map(([name, type]) => [`containerd.events.${name}`, type] as const),
    ...Object.entries(OF_IMAGES).map(([name, type]) => [`containerd.services.images.v1.${name}`, type] as const),
  ].map(([name, type]) => [name, type as unknown as EventType]),
);

/** The message type of an event, by its full name or by a URL that ends with it; undefined for one of somebody else's. */
export function eventType(typeUrl: string): EventType | undefined {
  return TYPES.get(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
}

/** The full name of an event's type: `containerd.events.TaskExit`. */
export function eventTypeName(name: EventName): string {
  return `${name in OF_IMAGES ? 'containerd.services.images.v1' : 'containerd.events'}.${name}`;
}
