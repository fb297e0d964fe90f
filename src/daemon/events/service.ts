/** The Events service, for clients by gRPC and for shims by ttrpc. */
import type { Logger } from 'pino';
import {
  ContainerdServicesEventsTtrpcV1Events as TtrpcEvents,
  ContainerdServicesEventsV1Events as Events,
  errdefs,
} from '../../api/full.js';
import { bindService } from '../grpc/service.js';
import type { GrpcPlugin } from '../plugin/types.js';
import { windowOf } from './recent.js';
import type { Envelope, Exchange } from './types.js';

function forward(exchange: Exchange, envelope: Envelope | null | undefined, log?: Logger): object {
  if (envelope == null) throw errdefs.invalidArgument('the request to forward an event has no envelope');
  exchange.forward(envelope);
  log?.trace({ topic: envelope.topic, ns: envelope.namespace, type: envelope.event?.type_url }, 'event forwarded');
  return {};
}

/** @param log is told of each forwarded event, at its lowest level */
export function eventServices(exchange: Exchange, log?: Logger): GrpcPlugin {
  return {
    services: [
      bindService(Events, {
        Publish: ({ topic, event }, call) => {
          if (event == null)
            throw errdefs.invalidArgument(`the request to publish ${JSON.stringify(topic)} has no event`);
          exchange.publish(call.namespace, topic ?? '', event);
          return {};
        },
        Forward: ({ envelope }) => forward(exchange, envelope, log),
        Subscribe: ({ filters }, call) => exchange.subscribe(filters ?? [], call.signal, windowOf(call)),
      }),
    ],
    ttrpc: [bindService(TtrpcEvents, { Forward: ({ envelope }) => forward(exchange, envelope, log) })],
  };
}
