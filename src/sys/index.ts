/**
 * System calls that Node lacks, typed: a file for each kind of call. The only room that loads native code.
 *
 * Calls throw {@link SysError}; those that are polled for readiness (`tryRead`, `tryWrite`, `tryAccept`,
 * `tryReceiveDescriptor`) return `undefined` instead of EAGAIN, as an exception there would be the normal case.
 */
export { SysError } from './error.js';
export { addonPath } from './native.js';
export { goBuildInfo } from './build-info.js';
export { becomeSubreaper, openPidfd, releaseFiles, signalPidfd, trimMemory } from './process.js';
export { logEntries, type EntryStream } from './entries.js';
export {
  exec,
  spawn,
  spawnUnwatched,
  searchPath,
  execFailure,
  limitChildrenNofile,
  type Child,
  type SpawnOptions,
} from './spawn.js';
export { onExit, isWatched, type ExitStatus } from './exit.js';
export { monitorProgram } from './monitor-program.js';
export {
  attachMonitor,
  detachMonitor,
  endSilently,
  hearMonitor,
  haveTaken,
  forgetWithMonitor,
  bytesOfGiven,
  keepWithMonitor,
  leaveWithMonitor,
  monitorCooks,
  openLasting,
  shimPid,
  staysWithMonitor,
  successor,
  takeFromMonitor,
  type GivenRecord,
  type MonitorEnds,
  type Answers,
  type Resting,
  type Successor,
} from './monitor.js';
export { childrenOf, isChild, isRunning, reapableOrphans, reap } from './orphans.js';
export {
  bytesWaiting,
  copyDescriptor,
  copyOf,
  duplicate,
  growPipe,
  isHungUp,
  makeEventfd,
  makeFifo,
  makeMemfd,
  makePipe,
  pipeSize,
  setNonblock,
  tryLock,
  tryRead,
  tryReadMuch,
  tryWrite,
} from './descriptors.js';
export { realtime, realtimeMillis } from './clock.js';
export { mapShared, shareMemory } from './shared.js';
export {
  connectUnix,
  consume,
  listenOn,
  listenUnix,
  peerCredentials,
  sendDatagram,
  acceptByMonitor,
  tryAccept,
  tryPeek,
  tryReceiveDescriptor,
  trySend,
} from './sockets.js';
export { Watch, READABLE, WRITABLE } from './watch.js';
export { forgetAnswers, keepAnswers, type Answer, type CookedAnswer } from './answers.js';
export { cook, Recipe, type LineRecipe } from './recipe.js';
export {
  attachLoop,
  attachMount,
  cloneMapped,
  makeUserNamespace,
  mount,
  mountApart,
  pageSize,
  unmount,
} from './mount.js';
export {
  getAttribute,
  listAttributes,
  mknod,
  nextData,
  replaceFile,
  setAttribute,
  setTimes,
  syncFileSystem,
  type Path,
  type Time,
} from './files.js';
export { openTerminalPeer, sendTerminal, setWindowSize } from './terminal.js';
export { Relay, type RelayState } from './relay.js';
export { expectMigration } from './migration.js';
export { forkForJobs, reportWritten, setIdentity, setName, type Forked, type Job } from './job.js';
