/** Unix sockets. */
import { constants } from 'node:os';
import { checked, SysError } from './error.js';
import { native } from './native.js';

const { EAGAIN } = constants.errno;

/** Sends one message to a unix datagram socket, without waiting. A path that begins with NUL is an abstract name. */
export function sendDatagram(path: string, text: string): void {
  checked(native.sendDatagram(path, text), 'sendto', path);
}

/** Who is at the other end of a connected unix socket, as of connect time (unix(7), SO_PEERCRED). */
export function peerCredentials(fd: number): { pid: number; uid: number; gid: number } {
  const result = native.peerCredentials(fd);
  if (typeof result === 'number') throw new SysError(result, 'getsockopt', 'SO_PEERCRED');
  return result;
}

/** A listening, non-blocking unix stream socket. Paths of over 107 bytes are ENAMETOOLONG; one that begins with NUL is an abstract name. */
export function listenUnix(path: string): number {
  return checked(native.listenUnix(path), 'listen', path);
}

/**
 * A connection to a listening unix stream socket, non-blocking. It is there at once, or not at all: EAGAIN when more wait there than may. Paths as for
 * {@link listenUnix}.
 */
export function connectUnix(path: string): number {
  return checked(native.connectUnix(path), 'connect', path);
}

/** Listens at a bound socket, also where another process does so: who connects finds this one's credentials from now on (unix(7), SO_PEERCRED). */
export function listenOn(fd: number): void {
  checked(native.listenOn(fd), 'listen', fd);
}

/** The next connection waiting at a listening socket, non-blocking; undefined when there is none now. */
export function tryAccept(fd: number): number | undefined {
  const result = native.accept(fd);
  return result === -EAGAIN ? undefined : checked(result, 'accept', fd);
}

/**
 * The same by the monitor, for many of those that wait, or all of them; none when nobody does. They stay with the monitor, too, until the next record
 * is handed over.
 */
export function acceptByMonitor(fd: number, most: number): readonly number[] {
  const result = native.monitorAccept(fd, most);
  if (typeof result !== 'number') return result;
  if (result !== -EAGAIN) checked(result, 'accept', fd);
  return [];
}

/** Reads what lies in a stream socket, and leaves it there. 0 at the end, undefined when there is nothing now. */
export function tryPeek(socket: number, buffer: Buffer): number | undefined {
  const result = native.peek(socket, buffer);
  return result === -EAGAIN ? undefined : checked(result, 'recv', socket);
}

/** Takes so many bytes out of a stream socket, which have been seen there. */
export function consume(socket: number, count: number): void {
  checked(native.consume(socket, count), 'recv', socket);
}

/** Writes to a stream socket; gives how much it has taken, or undefined when it has no room now. */
export function trySend(socket: number, bytes: Uint8Array): number | undefined {
  const result = native.sendBytes(socket, bytes);
  return result === -EAGAIN ? undefined : checked(result, 'send', socket);
}

/** The one descriptor that the next message carries; EBADMSG when it carries none or several. */
export function tryReceiveDescriptor(socket: number): number | undefined {
  const result = native.receiveDescriptor(socket);
  return result === -EAGAIN ? undefined : checked(result, 'recvmsg', socket);
}
