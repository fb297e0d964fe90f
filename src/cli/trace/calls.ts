/** Measures the calls that a client makes to its daemon, as they go over the wire. */
import type { Client } from '../../client/index.js';
import { now, type Recorder } from './spans.js';

type Method = (...args: unknown[]) => unknown;

/** Of these services; what others answer is not on the way of a start, or lasts as long as the container. */
const SERVICES = ['containers', 'tasks', 'snapshots', 'leases', 'images', 'content', 'diff', 'version'] as const;
const LASTING = new Set(['Wait']);

/** From here on every call is recorded. */
export function measureCalls(client: Client, recorder: Recorder): void {
  for (const service of SERVICES) {
    const methods = client.services[service] as unknown as Record<string, Method>;
    for (const [name, method] of Object.entries(methods)) {
      if (typeof method !== 'function' || LASTING.has(name)) continue;
      methods[name] = (...args) => {
        const start = now();
        const result = method.apply(methods, args);
        if (result instanceof Promise) {
          const done = (): void => recorder.add('daemon', `${service}.${name}`, start, now());
          result.then(done, done);
        }
        return result;
      };
    }
  }
}
