/** What a shim counts as it goes, besides what its parts count themselves; for its metrics. */
export const counters = {
  execsStarted: 0,
  /** Of those started, whose exit has been told. */
  execsFinished: 0,
  /** Between processes and their clients, handed over by the kernel or not; a logger's standard output is its own. */
  bytesCopied: 0,
};
