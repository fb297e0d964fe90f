/** The kinds of machine that something is made for, by the names that each world has for them. */

export interface Machine {
  /** As Node has it, and npm. */
  arch: 'x64' | 'arm64';
  /** As Debian, Go and OCI have it. */
  debian: 'amd64' | 'arm64';
  /** The cross compiler's prefix, which its binutils have, too. */
  triplet: string;
  /** What runs a program of it, where this machine is of another kind. */
  emulator: string;
}

export const machines: readonly Machine[] = [
  { arch: 'x64', debian: 'amd64', triplet: 'x86_64-linux-gnu', emulator: 'qemu-x86_64-static' },
  { arch: 'arm64', debian: 'arm64', triplet: 'aarch64-linux-gnu', emulator: 'qemu-aarch64-static' },
];

/** @throws Error for a kind that nothing is made for */
export function machineOf(arch: string): Machine {
  const found = machines.find((one) => one.arch === arch || one.debian === arch);
  if (found === undefined)
    throw new Error(`nothing is made for ${arch}, only for ${machines.map((one) => one.debian).join(' and ')}`);
  return found;
}
