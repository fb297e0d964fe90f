/** Which of the shim's children are commands of the runtime's that another process has begun: known by their words alone. */
import { readFileSync } from 'node:fs';
import { childrenOf, isRunning, shimPid } from '../../sys/index.js';

/** One without words is in the middle of an execve(2), unless it stays so for this many looks: then it is somebody's who hides them. */
const WORDLESS_LOOKS = 100;

export class Commands {
  /** Those that have been seen, by whatever name they go on; and how often one has been seen without words. */
  readonly #begun = new Set<number>();
  readonly #wordless = new Map<number, number>();

  /**
   * @param isCommand by the command line, through whatever other programs it was run
   * @param isProcess one of the container's, which is none even if it looks so
   */
  constructor(
    private readonly isCommand: (words: readonly string[]) => boolean,
    private readonly isProcess: (pid: number) => boolean,
    private readonly children: () => readonly number[] = () => childrenOf(shimPid()),
    private readonly wordsOf: (pid: number) => readonly string[] = commandLine,
    private readonly runs: (pid: number) => boolean = isRunning,
  ) {}

  /** True while one is there. */
  look(): boolean {
    return this.children().filter((pid) => this.#isUnderWay(pid)).length > 0;
  }

  #isUnderWay(pid: number): boolean {
    if (!this.runs(pid) || this.isProcess(pid)) return false;
    if (this.#begun.has(pid)) return true;
    const words = this.wordsOf(pid);
    if (this.isCommand(words)) {
      this.#begun.add(pid);
      return true;
    }
    if (words.some((word) => word !== '')) return false;
    const looks = (this.#wordless.get(pid) ?? 0) + 1;
    this.#wordless.set(pid, looks);
    return looks < WORDLESS_LOOKS;
  }
}

/** Empty for one that has ended. */
export function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
