/**
 * `hawser/shim`: a containerd shim of your own. The framework is what Hawser's own shim stands on.
 *
 * @module hawser/shim
 */
export { runRuncShim, runShim } from './framework/run.js';
export {
  holdProcess,
  signalProcess,
  startProcess,
  type HeldProcess,
  type ProcessOptions,
} from './framework/process.js';
export { parseExact, stringifyExact } from '../oci/json.js';
export { cgroupMetrics } from './framework/metrics.js';
export type {
  Any,
  CallOptions,
  Container,
  Exec,
  Json,
  Keeping,
  ProcessSpec,
  Remains,
  RuncContainer,
  RuncShim,
  Shim,
  Spec,
  TaskProcess,
} from './framework/types.js';
export type { Child, ExitStatus } from '../sys/index.js';
export type { Namespace, Process } from '../oci/spec.js';
