/**
 * What one service tells of itself, for its state dump and its metrics. Made with the service, and gone with it: a zygote's
 * rehearsal has its own. Containers, streams and the runtime's commands are handed it, or the part that they tell.
 */
// Not all of the runtime: this is there before the daemon is answered.
import { CommandTotals } from '../../runc/totals.js';
import { newCounters } from './counters.js';
import { Waits } from './pending.js';
import { Requests } from './requests.js';
import { Timeline } from './timeline.js';

export class Observations {
  readonly timeline = new Timeline();
  readonly requests = new Requests(this.timeline);
  readonly commands = new CommandTotals((phase, name) => this.timeline.mark(`runtime ${name}: ${phase}`));
  readonly waits = new Waits();
  readonly counters = newCounters();
}
