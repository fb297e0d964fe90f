/** hawser events. */
import type { EventEnvelope } from '../../client/index.js';
import type { Globals } from '../address.js';
import { CliError } from '../errors.js';
import { eventFilters } from '../events/filters.js';
import { containerOf, KnownContainers } from '../events/known.js';
import { checkMoments } from '../format/time.js';
import { compile } from '../format/template.js';
import { stringifyExact } from '../../oci/json.js';
import { withSession } from '../session.js';

export interface EventsFlags {
  readonly filter?: string[];
  readonly format?: string;
  readonly allNamespaces?: boolean;
  readonly since?: string;
  readonly until?: string;
}

export async function eventsCommand(
  { filter = [], format, allNamespaces = false, since, until }: EventsFlags,
  globals: Globals,
): Promise<void> {
  const filters = eventFilters(filter);
  checkMoments({ since, until });
  const render = format === undefined || format === 'json' ? undefined : compile(format);
  await withSession(globals, async ({ client, namespace, address }) => {
    const { FailedPreconditionError, UnavailableError } = await import('../../client/index.js');
    const known = new KnownContainers(client);
    try {
      const events = client.events({ filters: filters.daemons, since, until });
      if (filters.wantsContainers) await known.learn();
      for await (const envelope of events) {
        if (filters.wantsContainers && envelope.namespace === namespace) await known.see(envelope);
        if (!allNamespaces && envelope.namespace !== namespace) continue;
        if (!filters.accepts(envelope, known)) continue;
        const record = describe(envelope);
        if (render) process.stdout.write(`${render(record)}\n`);
        else if (format === 'json') process.stdout.write(`${stringifyExact(record)}\n`);
        else
          process.stdout.write(
            `${record.Timestamp} ${record.Namespace} ${record.Topic} ${stringifyExact(record.Event)}\n`,
          );
      }
    } catch (error) {
      if (error instanceof UnavailableError)
        throw new CliError(`the daemon at ${address} has gone away; there are no more events until it is back`, 1, {
          cause: error,
        });
      if (error instanceof FailedPreconditionError && since !== undefined)
        throw new CliError(
          `events --since: the daemon at ${address} keeps no events, as hawserd does: leave it out for those that come from now on`,
          1,
          { cause: error },
        );
      throw error;
    }
  });
}

function describe({ timestamp, namespace, topic, type, event = {} }: EventEnvelope) {
  return {
    Timestamp: timestamp.toISOString(),
    ID: containerOf({ event }),
    Namespace: namespace,
    Topic: topic,
    Type: type,
    Event: plain(event) as Record<string, unknown>,
  };
}

/** What JSON can hold: bytes as base64. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
  return value;
}
