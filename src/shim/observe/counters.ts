/** What a shim counts as it goes, besides what its parts count themselves; for its metrics. */
export const counters = {
  execsStarted: 0,
  /** Of those started, whose exit has been told. */
  execsFinished: 0,
  /** Through pumps: terminals, and stdio that cannot be the client's own. */
  bytesCopied: 0,
};
