/**
 * `hawser/runc`: an OCI runtime as a typed object.
 *
 * @module hawser/runc
 */
export { Runtime } from './runtime.js';
export { bundleOf, isAnothers, isSameBundle } from './owner.js';
export type {
  CheckpointOptions,
  CreateOptions,
  ExecOptions,
  ProcessIo,
  RestoreOptions,
  RuntimeOptions,
} from './runtime.js';
export type { ExecLaunch, Launch, RestoreImages, RuntimePort } from './port.js';
export { RuntimeError } from './error.js';
export { ConsoleSocket } from './console.js';
export { LogTail } from './log.js';
export { runCommand, runningCommands, type CommandSubject, type RunningCommand } from './command.js';
export { CommandTotals, type CommandObserver, type CommandTotal } from './totals.js';
