/** Events as plugins: the exchange, and its service. */
import { RECENT_EXPORT } from '../../api/recent-events.js';
import { RecentEvents } from '../events/recent.js';
import { eventServices } from '../events/service.js';
import { PluginType, type Registration } from '../plugin/types.js';

/** Events have no state of their own, so all there is to make is the service. */
export const eventsPlugin: Registration = {
  type: PluginType.Grpc,
  id: 'events',
  requires: [PluginType.Event],
  init: ({ events, log, exports }) => {
    exports[RECENT_EXPORT] = String(RecentEvents.most);
    return eventServices(events, log);
  },
};

/** The exchange, where plugins and clients look for it. */
export const exchangePlugin: Registration = { type: PluginType.Event, id: 'exchange', init: ({ events }) => events };
