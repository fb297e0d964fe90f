/** The program that `--init` puts before a container's own. */

/** Where it is inside, for docker too. */
export const INIT_PROGRAM = '/sbin/docker-init';

/** What a container was asked to run. */
export function commandBelowInit(args: readonly string[]): readonly string[] {
  return args[0] === INIT_PROGRAM && args[1] === '--' ? args.slice(2) : args;
}
