/**
 * Which lives a zygote rehearses: all of them as a whole, as what a later one leaves out would be compiled anew by each worker that comes. Containers are
 * often started several at a time, the first of which has brought the zygote about: the others come in the midst of it.
 */

/** On a machine where somebody comes all the time it is better done with than begun again and again. */
const MOST_BROKEN_OFF = 10;

/**
 * Lives so many lives, and again each that was broken off.
 *
 * @param live the one with this number, from 0 on; resolves to false when somebody had come, and it was broken off
 * @param serve whoever has come, and who comes soon; gives what ends the rehearsal
 * @param isOfUse otherwise no more is done
 */
export async function liveWhole<T>(
  lives: number,
  live: (life: number) => Promise<boolean>,
  serve: () => T | undefined,
  isOfUse: () => boolean = () => true,
): Promise<T | undefined> {
  for (let life = 0, broken = 0; life < lives && isOfUse();) {
    const isWhole = await live(life);
    if (isWhole) {
      life++;
      continue;
    }
    const found = serve();
    if (found !== undefined) return found;
    if (++broken > MOST_BROKEN_OFF) life++;
  }
  return undefined;
}
