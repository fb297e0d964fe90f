/** Nodes other than the one that runs this: from npm, each once, as is the one that goes into packages. */
import { machineOf } from '../../src/build/release/machines.js';
import { nodePin, part, type Pin } from '../../src/build/release/parts.js';
import { join } from 'node:path';

const machine = machineOf(process.arch);
const INTEGRITY_OF_22 = {
  x64: 'sha512-3jhC+wcoWxKZxcRqF2sUSl0c9HEXFnur/nuIPx6O6CWKV0jOUWQm7Htw5SuXqqlMCEhi0cJqybFPEb5hhcBiMw==',
  arm64: 'sha512-e1LOUGKVruPGuLVutn8+Cgm5pI1APm4Kvh+zbb/qe/ZpD9s+TQby5iUgZOWmPpbSKpj0Td8DP1N0NEnXasHizg==',
};
const PINS: readonly Pin[] = [
  { name: `node-linux-${machine.arch}`, version: '22.23.5', integrity: INTEGRITY_OF_22[machine.arch] },
  nodePin(machine),
];

export interface OtherNode {
  readonly major: string;
  readonly version: string;
  readonly program: string;
}

const majorOf = (version: string): string => version.split('.')[0]!;

/** As are asked for, or those of another line than this process's. @param leftOut is told, in a sentence, of one that npm does not give */
export function otherNodes(leftOut: (why: string) => void, majors?: readonly string[]): OtherNode[] {
  return PINS.flatMap((pin) => {
    const { name, version } = pin;
    const major = majorOf(version);
    if (majors ? !majors.includes(major) : major === majorOf(process.versions.node)) return [];
    try {
      return [{ major, version, program: join(part(pin), 'bin/node') }];
    } catch (error) {
      // The status of npm; what isn't what was pinned is another matter.
      if (!(error instanceof Error && 'status' in error)) throw error;
      leftOut(`Node ${version} is left out: npm does not give ${name}@${version} (${error.message.split('\n')[0]!})`);
      return [];
    }
  });
}
