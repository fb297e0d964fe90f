/** What kind of daemon runs us. */
import { closeSync, openSync, readSync } from 'node:fs';

/** Sizes in an ELF file of 64 bits, little endian (elf(5)). */
const HEADER = 64;
const SECTION = 64;
/** More than any program has. */
const MAX_BYTES = 4 << 20;

/** What Go writes into a program: the package it was made from, and the modules that went into it. */
const CONTAINERD_2 = /\tgithub\.com\/containerd\/containerd\/v2[/\t]/;

/**
 * Whether a process is a containerd 2 or has one built in. The running program is read, not the file that bears its name
 * now: an upgrade replaces that before the daemon is started anew. False when it can't be known.
 */
export function isContainerd2(pid: number): boolean {
  let fd: number | undefined;
  try {
    fd = openSync(`/proc/${pid}/exe`, 'r');
    return CONTAINERD_2.test(buildInfo(fd));
  } catch (error) {
    // Another user's process, one that is gone, or a program of some other make.
    if (error instanceof Error) return false;
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The section that Go calls .go.buildinfo, as text; empty when there is none. */
function buildInfo(fd: number): string {
  const header = read(fd, 0, HEADER);
  const isElf64 = header.readUInt32BE(0) === 0x7f454c46 && header[4] === 2 && header[5] === 1;
  if (!isElf64) return '';
  const count = header.readUInt16LE(60);
  const names = header.readUInt16LE(62);
  const table = read(fd, offset(header, 40), count * SECTION);
  const section = (index: number): Buffer => table.subarray(index * SECTION, (index + 1) * SECTION);
  const content = (one: Buffer): string => read(fd, offset(one, 24), offset(one, 32)).toString('latin1');
  const allNames = content(section(names));
  for (let i = 0; i < count; i++) {
    const at = section(i).readUInt32LE(0);
    if (allNames.startsWith('.go.buildinfo\0', at)) return content(section(i));
  }
  return '';
}

function offset(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}

function read(fd: number, from: number, length: number): Buffer {
  if (length > MAX_BYTES) throw new Error(`${length} bytes are too many`);
  const bytes = Buffer.alloc(length);
  if (readSync(fd, bytes, 0, length, from) < length) throw new Error('the program is cut');
  return bytes;
}
