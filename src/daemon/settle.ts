/** Waits for all, whatever becomes of the others; then throws the first failure, if there is one. */
export async function settleAll(all: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled(all);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
