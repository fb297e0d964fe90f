/** Terminals: their size, their slave end, and one of our own making. */
import { checked } from './error.js';
import { native } from './native.js';

/** Sets a terminal's size; numbers are cut to 16 bits (ioctl_tty(2), TIOCSWINSZ). */
export function setWindowSize(fd: number, columns: number, rows: number): void {
  checked(native.setWindowSize(fd, columns, rows), 'ioctl', 'TIOCSWINSZ');
}

/** Opens the slave end of a pseudo-terminal by its master (ioctl_tty(2), TIOCGPTPEER). */
export function openTerminalPeer(master: number): number {
  return checked(native.openTerminalPeer(master), 'ioctl', 'TIOCGPTPEER');
}

/**
 * Makes a pseudo-terminal and sends its master through the unix socket at the path, as an OCI runtime does with its console
 * socket (see `ConsoleSocket` of hawser/runc).
 *
 * @returns the slave, close-on-exec, to be given to a process and closed by the caller
 */
export function sendTerminal(path: string): number {
  return checked(native.sendTerminal(path), 'sendTerminal', path);
}
