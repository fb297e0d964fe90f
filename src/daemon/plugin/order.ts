/** Who comes before whom. */
import type { Registration } from './types.js';

/** `TYPE.ID`, the name of one plugin. */
export function nameOf({ type, id }: { readonly type: string; readonly id: string }): string {
  return `${type}.${id}`;
}

/** Those that a requirement means: all of a type, one, or for `*` all others. */
export function meantBy(requirement: string, by: Registration, all: readonly Registration[]): Registration[] {
  return all.filter(
    (other) => other !== by && (requirement === '*' || other.type === requirement || nameOf(other) === requirement),
  );
}

export interface Order {
  /** Each after all that it requires; as they were given, where nothing is required. */
  readonly order: Registration[];
  /** Those that cannot be put in order, and why. */
  readonly faults: ReadonlyMap<Registration, Error>;
}

/** Orders plugins by what they require. Circles and requirements that nothing meets are faults of those that have them. */
export function orderOf(plugins: readonly Registration[]): Order {
  const order: Registration[] = [];
  const faults = new Map<Registration, Error>();
  const done = new Set<Registration>();
  const path: Registration[] = [];

  const visit = (plugin: Registration): void => {
    if (done.has(plugin)) return;
    const at = path.indexOf(plugin);
    if (at >= 0) {
      const circle = path.slice(at);
      const text = [...circle, plugin].map(nameOf).join(' requires ');
      for (const one of circle) faults.set(one, new Error(`plugins require each other in a circle: ${text}`));
      return;
    }
    path.push(plugin);
    for (const requirement of plugin.requires ?? []) {
      const meant = meantBy(requirement, plugin, plugins);
      if (meant.length === 0 && requirement !== '*' && !faults.has(plugin)) {
        faults.set(
          plugin,
          new Error(
            `plugin ${nameOf(plugin)} requires ${requirement}, and there is no such plugin; is it disabled, or its module not in external_plugins?`,
          ),
        );
      }
      // Two that each come after all others would wait for each other.
      for (const other of meant) if (requirement !== '*' || !other.requires?.includes('*')) visit(other);
    }
    path.pop();
    done.add(plugin);
    order.push(plugin);
  };
  for (const plugin of plugins) visit(plugin);
  return { order, faults };
}
