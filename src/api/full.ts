/** All of containerd's messages and services: what the daemon and its clients speak. A shim loads `index.ts` alone. */
export { containerd, google, grpc, runtimeoptions } from './gen/full.js';
export * from './gen/full-services.js';
export * as errdefs from './errdefs.js';
export { eventType, eventTypeName, type EventInit, type EventName } from './event-types.js';
export { isType, pack } from './typeurl.js';
export { millis, timestamp, ZERO_TIME } from './timestamp.js';
