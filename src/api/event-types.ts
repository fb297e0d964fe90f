/** The messages that events carry, by the names that they have in an Any. */
import { containerd } from './gen/full.js';

const EVENTS = 'containerd.events.';
/** containerd has these in the package of their service; all other events are in `containerd.events`. */
const IMAGE_EVENTS = 'containerd.services.images.v1.';
const OF_IMAGES = ['ImageCreate', 'ImageUpdate', 'ImageDelete'] as const;

type AllTypes = typeof containerd.events & Pick<typeof containerd.services.images.v1, (typeof OF_IMAGES)[number]>;

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

const isOfImages = (name: string): boolean => OF_IMAGES.some((one) => one === name);

/** The message type of an event, by its full name or by a URL that ends with it; undefined for one of somebody else's. */
export function eventType(typeUrl: string): EventType | undefined {
  const full = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
  const name = full.slice(full.lastIndexOf('.') + 1);
  // Only the one that is asked for: the classes are made when they are.
  if (full === IMAGE_EVENTS + name && isOfImages(name)) return typeOf(containerd.services.images.v1, name);
  return full === EVENTS + name ? typeOf(containerd.events, name) : undefined;
}

function typeOf(types: object, name: string): EventType | undefined {
  return Object.hasOwn(types, name) ? (types as Record<string, EventType>)[name] : undefined;
}

/** The full name of an event's type: `containerd.events.TaskExit`. */
export function eventTypeName(name: EventName): string {
  return `${isOfImages(name) ? IMAGE_EVENTS : EVENTS}${name}`;
}
