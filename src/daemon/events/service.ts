/** The Events service, for clients by gRPC and for shims by ttrpc. */
import {
  ContainerdServicesEventsTtrpcV1Events as TtrpcEvents, ContainerdServicesEventsV1Events as Events, errdefs,
} from '../../api/full.js';
import { bindService } from '../grpc/service.js';
import { PluginType, type GrpcPlugin, type Registration } from '../plugin/types.js';
import type { Envelope, Exchange } from './types.js';

function forward(exchange: Exchange, envelope: Envelope | null | undefined): object {
  if (envelope == null) throw errdefs.invalidArgument('the request to forward an event has no envelope');
  exchange.forward(envelope);
  return {};
}

export function eventServices(exchange: Exchange): GrpcPlugin {
  return {
    services: [bindService(Events, {
      Publish: ({ topic, event }, call) => {
        if (event == null) throw errdefs.invalidArgument(`the request to publish ${JSON.stringify(topic)} has no event`);
        exchange.publish(call.namespace, topic ?? '', event);
        return {};
      },
      Forward: ({ envelope }) => forward(exchange, envelope),
      Subscribe: ({ filters }, { signal }) => exchange.subscribe(filters ?? [], signal),
    })],
    ttrpc: [bindService(TtrpcEvents, { Forward: ({ envelope }) => forward(exchange, envelope) })],
  };
}

/** Events have no state of their own, so all there is to make is the service. */
export const eventsPlugin: Registration = {
  type: PluginType.Grpc,
  id: 'events',
  requires: [PluginType.Event],
  init: ({ events }) => eventServices(events),
};

/** The exchange, where plugins and clients look for it. */
export const exchangePlugin: Registration = { type: PluginType.Event, id: 'exchange', init: ({ events }) => events };
