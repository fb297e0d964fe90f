/** Parses a command line and runs what it says; what commander complains of becomes an error of ours. */
import { CommanderError, type Command } from 'commander';
import { Exit, UsageError } from '../errors.js';
import { COMMANDS, FLAGS } from './elsewhere.js';
import { asCommander } from './pflag.js';

export async function run(top: Command, args: readonly string[]): Promise<void> {
  try {
    await top.parseAsync(asCommander(top, args), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) throw new Exit(0);
    // Help that was printed because there was no command.
    if (error.code === 'commander.help') throw new Exit(1);
    const [, flag = ''] = /unknown option '(-[^'=]+)/.exec(error.message) ?? [];
    const [, word = ''] = /unknown command '([^']+)'/.exec(error.message) ?? [];
    const command = commandOf(top, args);
    const elsewhere = word === '' ? (FLAGS[`${command} ${flag}`] ?? FLAGS[flag]) : COMMANDS[`${command} ${word}`];
    if (elsewhere !== undefined) throw new UsageError(`${word || flag}: ${elsewhere}`, command);
    throw new UsageError(
      error.message.replace(/^error: /, '').replace(/\n\(Did you mean (.*)\?\)$/, '; did you mean $1?'),
      command,
    );
  }
}

/** The command that the words name, for a hint at its help. */
function commandOf(top: Command, args: readonly string[]): string | undefined {
  const words: string[] = [];
  let at = top;
  for (const word of args) {
    const next = at.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next === undefined) {
      if (words.length > 0) break;
      continue;
    }
    words.push(next.name());
    at = next;
  }
  return words.length === 0 ? undefined : words.join(' ');
}
