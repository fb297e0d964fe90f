/** hawser events. */
import type { EventEnvelope } from '../../client/index.js';
import type { Globals } from '../address.js';
import { CliError, UsageError } from '../errors.js';
import { compile } from '../format/template.js';
import { stringifyExact } from '../../oci/json.js';
import { withSession } from '../session.js';

export interface EventsFlags {
  readonly filter?: string[];
  readonly format?: string;
  readonly allNamespaces?: boolean;
}

export async function eventsCommand(
  { filter = [], format, allNamespaces = false }: EventsFlags,
  globals: Globals,
): Promise<void> {
  const accepts = filter.map(filterOf);
  const filters = accepts.flatMap((one) => (typeof one === 'string' ? [one] : []));
  const own = accepts.filter((one) => typeof one !== 'string');
  const render = format === undefined || format === 'json' ? undefined : compile(format);
  await withSession(globals, async ({ client, namespace, address }) => {
    const { UnavailableError } = await import('../../client/index.js');
    try {
      for await (const envelope of client.events({ filters })) {
        if (!allNamespaces && envelope.namespace !== namespace) continue;
        if (!own.every((accept) => accept(envelope))) continue;
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

function containerOf({ event }: Pick<EventEnvelope, 'event'>): string {
  const id = event?.container_id ?? event?.containerId ?? event?.id ?? event?.name ?? '';
  return typeof id === 'string' ? id : '';
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

/** docker's filters are looked at here, containerd's own there. */
function filterOf(text: string): string | ((envelope: EventEnvelope) => boolean) {
  const [, name, value = ''] = /^(container|event|type|id)=(?!=)(.*)$/.exec(text) ?? [];
  switch (name) {
    case 'container':
    case 'id':
      return (envelope) => containerOf(envelope).startsWith(value);
    case 'event':
      return ({ topic }) => topic.split('/').at(-1) === value;
    case 'type':
      return ({ topic }) => topic.split('/')[1]?.replace(/s$/, '') === value.replace(/s$/, '');
    case undefined:
    default:
      if (!/==|~=|!=/.test(text))
        throw new UsageError(
          `--filter ${JSON.stringify(text)}: there are container, event and type, as event=exit, and containerd's filters such as topic~=/tasks/`,
          'events',
        );
      return text;
  }
}
