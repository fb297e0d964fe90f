import type { Custom } from './custom.js';
import type { EventPublisher } from './events.js';
import type { OrphanReaper } from './exits.js';
import type { Logger } from './log.js';
import type { ShimRecord } from './record.js';

/** What the containers of one shim share. */
export interface ShimContext {
  readonly record: ShimRecord;
  readonly events: EventPublisher;
  readonly orphans: OrphanReaper;
  readonly log: Logger;
  readonly custom?: Custom | undefined;
  /** Its containers are none: see rehearsal.ts. */
  readonly isRehearsal: boolean;
}
