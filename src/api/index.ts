/**
 * `hawser/api`: containerd's messages, services, error classes and Any types.
 *
 * @module hawser/api
 */
export { containerd, google, runtimeoptions } from './gen/api.js';
export * from './gen/services.js';
export * as errdefs from './errdefs.js';
export { isType, pack } from './typeurl.js';
export { millis, timestamp, ZERO_TIME } from './timestamp.js';
