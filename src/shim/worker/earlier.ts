/** Going on where another worker has left off: what it has left, and where it listened. */
import { takeFromMonitor, type GivenRecord } from '../../sys/index.js';
import type { Logger } from '../observe/log.js';
import { adopt, type Listening } from '../program/listen.js';
import { FORMAT } from './format.js';
import { wokenByOf, type RestingShim, type WokenBy } from './handover.js';
import { Found } from './leaving.js';

export interface Earlier<Log> {
  readonly log: Log;
  readonly resting: RestingShim;
  readonly found: Found;
  readonly wokenBy: WokenBy;
  readonly listening: Listening;
}

/**
 * Takes all that another worker has left. Undefined when a newer version has, and it cannot be gone on with, as the log says then.
 *
 * @param openLog is told whether all is to be logged
 */
export function takeEarlier<Log extends Logger>(openLog: (debug: boolean) => Log): Earlier<Log> | undefined {
  return earlierOf(takeFromMonitor(), openLog);
}

/** The same of what has been taken. */
export function earlierOf<Log extends Logger>(
  given: GivenRecord,
  openLog: (debug: boolean) => Log,
): Earlier<Log> | undefined {
  const resting = JSON.parse(given.record.toString()) as RestingShim;
  const log = openLog(resting.debug);
  if (resting.format > FORMAT) {
    log.error('going on with what a newer version has left failed', { format: resting.format, readable: FORMAT });
    return undefined;
  }
  const found = new Found(given);
  const { place, path, ...file } = resting.listener;
  const listening = adopt(found.fd(place), path, file);
  return { log, resting, found, wokenBy: wokenByOf(given.wokenBy), listening };
}
