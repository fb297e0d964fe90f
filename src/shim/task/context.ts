import type { Custom } from './custom.js';
import type { EventPublisher } from '../events/publisher.js';
import type { OrphanReaper } from './orphans.js';
import type { Logger } from '../observe/log.js';
import type { Observations } from '../observe/observations.js';
import type { ShimRecord } from '../record/record.js';

/** What the containers of one shim share. */
export interface ShimContext {
  readonly record: ShimRecord;
  readonly events: EventPublisher;
  readonly orphans: OrphanReaper;
  readonly log: Logger;
  readonly observations: Observations;
  readonly custom?: Custom | undefined;
  /** Its containers are none: see zygote/rehearsal.ts. */
  readonly isRehearsal: boolean;
}
