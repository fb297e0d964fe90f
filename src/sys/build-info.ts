/** What Go writes into its programs: the package each was made from, and the modules that went into it. */
import { closeSync, openSync, readSync } from 'node:fs';

/** Sizes in an ELF file of 64 bits, little endian (elf(5)). */
const HEADER = 64;
const SECTION = 64;
/** More than any program has. */
const MAX_BYTES = 4 << 20;

/** The section .go.buildinfo of a program, as text; empty when there is none, or when it cannot be read. */
export function goBuildInfo(file: string): string {
  let fd: number | undefined;
  try {
    fd = openSync(file, 'r');
    return section(fd);
  } catch (error) {
    // Another user's process, one that is gone, or a program of some other make.
    if (error instanceof Error) return '';
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function section(fd: number): string {
  const header = read(fd, 0, HEADER);
  const isElf64 = header.readUInt32BE(0) === 0x7f454c46 && header[4] === 2 && header[5] === 1;
  if (!isElf64) return '';
  const count = header.readUInt16LE(60);
  const names = header.readUInt16LE(62);
  const table = read(fd, offset(header, 40), count * SECTION);
  const entry = (index: number): Buffer => table.subarray(index * SECTION, (index + 1) * SECTION);
  const content = (one: Buffer): string => read(fd, offset(one, 24), offset(one, 32)).toString('latin1');
  const allNames = content(entry(names));
  for (let i = 0; i < count; i++) {
    const at = entry(i).readUInt32LE(0);
    if (allNames.startsWith('.go.buildinfo\0', at)) return content(entry(i));
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
