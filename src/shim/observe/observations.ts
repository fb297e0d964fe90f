/**
 * What one service tells of itself, for its state dump and its metrics. Made with the service, and gone with it: a zygote's
 * rehearsal has its own. Containers, streams and the runtime's commands are handed it, or the part that they tell.
 */
// Not all of the runtime: this is there before the daemon is answered.
import { CommandTotals, type CommandTotal } from '../../runc/totals.js';
import { Changes } from './changes.js';
import { newCounters, type Counters } from './counters.js';
import { Waits } from './pending.js';
import { Requests, type RequestTotal } from './requests.js';
import { Timeline, type Moment } from './timeline.js';

/** For another process to go on with. */
export interface RestingObservations {
  readonly moments: readonly Moment[];
  readonly requests: Readonly<Record<string, RequestTotal>>;
  readonly commands: Readonly<Record<string, CommandTotal>>;
  readonly counters: Counters;
}

export class Observations {
  readonly timeline = new Timeline();
  readonly requests = new Requests(this.timeline);
  readonly commands = new CommandTotals((phase, name) => this.timeline.mark(`runtime ${name}: ${phase}`));
  readonly waits = new Waits();
  readonly counters = newCounters();
  readonly changes = new Changes();

  rest(): RestingObservations {
    return { moments: this.timeline.rest(), ...this.#counted() };
  }

  /** What {@link rest} gives, as JSON; for less than to make it anew. */
  restText(): string {
    return `{"moments":${this.timeline.restText()},${JSON.stringify(this.#counted()).slice(1)}`;
  }

  #counted(): Omit<RestingObservations, 'moments'> {
    return {
      requests: Object.fromEntries([...this.requests.totals()].filter(([, { count }]) => count > 0)),
      commands: Object.fromEntries(this.commands.byName()),
      counters: this.counters,
    };
  }

  /** Goes on from what another process has seen and counted. */
  resume({ moments, requests, commands, counters }: RestingObservations): void {
    this.timeline.resume(moments);
    this.requests.resume(requests);
    this.commands.resume(commands);
    Object.assign(this.counters, counters);
  }
}
