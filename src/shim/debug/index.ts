/** State dump and metrics: loaded when somebody asks, into a file of its own (see build/bundle.ts). */
export { BUILD } from '../observe/version.js';
export { serveHttp } from './http.js';
export { logState } from './log.js';
export { ask } from './ask.js';
