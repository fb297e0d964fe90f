/** What a shim counts as it goes, besides what its parts count themselves; for its metrics. */
export interface Counters {
  execsStarted: number;
  /** Of those started, whose exit has been told. */
  execsFinished: number;
  /** Between processes and their clients, handed over by the kernel or not; a logger's standard output is its own. */
  bytesCopied: number;
  /** Requests for how a container is whose answer was ready; they are among the others. */
  answeredReady: number;
}

export function newCounters(): Counters {
  return { execsStarted: 0, execsFinished: 0, bytesCopied: 0, answeredReady: 0 };
}
