/** /dev/null, for a stream that goes nowhere: its container's own, as who has the host's could change its mode. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';

const { O_RDWR } = constants;
/** A handle on the file itself, which opens nothing (open(2)). Node does not name it. */
const O_PATH = 0o10000000;
/** makedev(1, 3), see the kernel's list of devices. */
const NULL_DEVICE = 0x103;

/**
 * Opens it for reading and writing: some runtimes give a container's init its own in place of the host's, but an exec has what it
 * is given.
 *
 * @param init of the container whose it is to be; undefined for the host's
 * @returns undefined when the container has none: it has removed it, or made something else of it
 */
export function openNowhere(init: number | undefined): number | undefined {
  return init === undefined ? openSync('/dev/null', O_RDWR) : tryOpenIn(init);
}

function tryOpenIn(init: number): number | undefined {
  let handle: number | undefined;
  try {
    // What the container has made of it is looked at before it is opened.
    handle = openSync(`/proc/${init}/root/dev/null`, O_PATH);
    const found = fstatSync(handle);
    if (!found.isCharacterDevice() || found.rdev !== NULL_DEVICE) return undefined;
    return openSync(`/proc/self/fd/${handle}`, O_RDWR);
  } catch (error) {
    // Gone, or on a mount that forbids devices, or the container has just ended.
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return undefined;
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
