/** All commands with their flags. Help, completion and the manual page are made from this. */
import type { Command } from 'commander';
import { didYouMean } from '../../text/nearest.js';
import { Exit, UsageError } from '../errors.js';
import { containerCommands } from './containers.js';
import { COMMANDS } from './elsewhere.js';
import { groupCommands } from './groups.js';
import { imageCommands } from './images.js';
import { listingCommands } from './listing.js';
import { networkCommands } from './networks.js';
import { runningCommands } from './running.js';
import { shimCommands } from './shim.js';
import { systemCommands } from './system.js';
import { topCommand } from './top.js';
import { volumeCommands } from './volumes.js';

/** What ends, removes or changes containers. */
const HARMFUL = new Set(['kill', 'rm', 'stop', 'restart', 'pause', 'update', 'checkpoint', 'rmi', 'push', 'logout']);

/** A hint for a word that is nearly a command. Who follows one to what does harm must have been but a letter away. */
function meant(word: string, names: readonly string[]): string {
  return (
    didYouMean(word, names, 1) ||
    didYouMean(
      word,
      names.filter((name) => !HARMFUL.has(name)),
      Math.floor(word.length / 3),
    )
  );
}

/** Who declares commands, and those of them that are used so often that the others need not be declared for them. */
const PARTS: readonly (readonly [declare: (top: Command) => void, often: readonly string[]])[] = [
  [listingCommands, ['ps', 'ls']],
  [containerCommands, ['logs', 'inspect', 'top', 'stats', 'wait', 'rename', 'stop', 'kill', 'rm']],
  [runningCommands, ['run', 'create', 'start', 'exec', 'attach', 'trace']],
  [imageCommands, ['images', 'pull', 'push', 'tag', 'save', 'load']],
  [networkCommands, []],
  [volumeCommands, []],
  [systemCommands, ['events', 'info', 'version']],
  [groupCommands, []],
  [shimCommands, []],
];

/** The word in the place of a command. */
function commandWord(top: Command, args: readonly string[]): string | undefined {
  for (let n = 0; n < args.length; n++) {
    const word = args[n]!;
    if (!word.startsWith('-')) return word;
    if (top.options.some(({ long, short, required }) => required && (long === word || short === word))) n++;
  }
  return undefined;
}

/** @param args the command line, if only what it names need be declared */
export function program(args?: readonly string[]): Command {
  const top = topCommand();
  const word = args && commandWord(top, args);
  const part = PARTS.find(([, often]) => word !== undefined && often.includes(word));
  for (const [declare] of part ? [part] : PARTS) declare(top);
  top.allowExcessArguments().action((_options: unknown, self: Command) => {
    const [unknown] = self.args;
    if (unknown !== undefined && COMMANDS[unknown] !== undefined)
      throw new UsageError(`${unknown}: ${COMMANDS[unknown]}`);
    if (unknown !== undefined)
      throw new UsageError(
        `unknown command ${unknown}${meant(
          unknown,
          top.commands.filter((one) => !one.name().startsWith('_')).map((one) => one.name()),
        )}`,
      );
    self.outputHelp();
    throw new Exit(0);
  });
  return top;
}
