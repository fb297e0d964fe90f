/** How many processes of a container wait for their start by a descriptor that this process alone has: it must not end meanwhile. */

export const HELD = Symbol('held');

export interface Held {
  count: number;
}

/** What {@link HELD} is a property of; whoever makes up a task of their own has none. */
export interface Holder {
  readonly [HELD]?: Held;
}
