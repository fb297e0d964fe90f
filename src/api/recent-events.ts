/** How a client asks hawserd for events that have been; containerd passes the headers over, and exports no such thing. */

/** Headers of a call to Subscribe, in nanoseconds since the epoch. */
export const SINCE_HEADER = 'hawser-since';
export const UNTIL_HEADER = 'hawser-until';
/** What the plugin of events exports where there are such headers. */
export const RECENT_EXPORT = 'hawser-recent';
