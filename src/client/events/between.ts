/** Events of a span of time: of what has been, as far as the daemon keeps it, and of what comes. */
import { RECENT_EXPORT, SINCE_HEADER, UNTIL_HEADER } from '../../api/recent-events.js';
import { Code } from '../../ttrpc/status.js';
import { FailedPreconditionError } from '../errors.js';
import type { Services } from '../grpc/services.js';
import { atTime, givenMoment } from '../moment.js';
import type { EventEnvelope, EventsOptions } from '../types/events.js';
import { envelopeOf } from './decode.js';

/**
 * Subscribes at once, not when the first event is asked for.
 *
 * @throws InvalidArgumentError for a time that is none; the iterator throws FailedPreconditionError where the daemon keeps no events, and such are asked for
 */
export function eventsBetween(
  services: Pick<Services, 'events' | 'introspection'>,
  { filters = [], signal, since: given, until: end }: EventsOptions,
): AsyncIterableIterator<EventEnvelope> {
  const since = given === undefined ? undefined : givenMoment('since', given);
  const until = end === undefined ? undefined : givenMoment('until', end);
  const begun = subscribe(services, [...filters], since, until, signal);
  begun.catch(() => undefined);
  return read(begun, until);
}

type Source = ReturnType<Services['events']['Subscribe']>;

async function subscribe(
  { events, introspection }: Pick<Services, 'events' | 'introspection'>,
  filters: string[],
  since: bigint | undefined,
  until: bigint | undefined,
  signal: AbortSignal | undefined,
): Promise<Source | undefined> {
  if (since === undefined) return isOver(until) ? undefined : events.Subscribe({ filters }, { signal });
  const asked = { filters: ['type==io.containerd.grpc.v1,id==events'] };
  const { plugins } = await introspection.Plugins(asked, { signal });
  if (plugins?.[0]?.exports?.[RECENT_EXPORT] === undefined)
    throw new FailedPreconditionError(
      Code.FailedPrecondition,
      'the daemon keeps no events, so there are none of a time that has been: hawserd does, containerd does not: failed precondition',
    );
  const headers = {
    [SINCE_HEADER]: String(since > 0n ? since : 0n),
    ...(until === undefined ? {} : { [UNTIL_HEADER]: String(until > 0n ? until : 0n) }),
  };
  return events.Subscribe({ filters }, { signal, headers });
}

function isOver(until: bigint | undefined): boolean {
  return until !== undefined && until <= BigInt(Date.now()) * 1_000_000n;
}

async function* read(
  begun: Promise<Source | undefined>,
  until: bigint | undefined,
): AsyncGenerator<EventEnvelope, void, void> {
  const source = await begun;
  if (source === undefined) return;
  const end = until === undefined ? undefined : Number(until / 1_000_000n);
  // Where that time is over the daemon itself comes to the end.
  const timer = end === undefined || isOver(until) ? undefined : atTime(end + 1, () => void source.return?.());
  try {
    for await (const one of source) {
      const envelope = envelopeOf(one);
      if (end !== undefined && envelope.timestamp.getTime() > end) return;
      yield envelope;
    }
  } finally {
    timer?.clear();
  }
}
