/** The command line as docker reads it, for commander, which takes fewer forms. */
import type { Command, Option } from 'commander';
import { UsageError } from '../errors.js';

/** As Go's ParseBool. */
const TRUE = ['1', 't', 'T', 'true', 'TRUE', 'True'];
const FALSE = ['0', 'f', 'F', 'false', 'FALSE', 'False'];

/** `--flag=true` and `--flag=false`, `-t=true`, and `-m=64m`, wherever flags of hawser's stand; what is the container's is left as it is. */
export function asCommander(top: Command, args: readonly string[]): string[] {
  const words: string[] = [];
  let command = top;
  for (let n = 0; n < args.length; n++) {
    const word = args[n]!;
    if (word === '--') return [...words, ...args.slice(n)];
    if (!word.startsWith('-') || word === '-') {
      // `container stop` is `stop`; what is docker's alone stands below the group itself.
      const plain = command === top ? plainWord(top, word, args[n + 1]) : undefined;
      if (plain !== undefined) {
        words.push(plain.name());
        command = plain;
        n++;
        continue;
      }
      const next = subcommand(command, word);
      words.push(word);
      if (next !== undefined) command = next;
      // run IMAGE COMMAND -flags: those are the command's.
      else if (passesThrough(command)) return [...words, ...args.slice(n + 1)];
      continue;
    }
    const [, name = word, value] = /^(--?[^=]+)=(.*)$/s.exec(word) ?? [];
    const option = optionOf(top, command, name);
    if (option !== undefined && value !== undefined) words.push(...inlined(option, word, name, value));
    else if (option !== undefined && option.negate && name !== option.long) continue;
    else words.push(word);
    // What follows is its value, even when it looks like a flag or a command.
    if (value === undefined && n + 1 < args.length && takesNext(top, command, word)) words.push(args[++n]!);
  }
  return words;
}

function inlined(option: Option, word: string, name: string, value: string): string[] {
  if (option.required || option.optional) return name.startsWith('--') ? [word] : [option.long ?? name, value];
  const on = TRUE.includes(value);
  if (!on && !FALSE.includes(value)) throw new UsageError(`${word}: it is ${name}, ${name}=true or ${name}=false`);
  // What is declared as --no-x is on until it is put off, as docker's --x=false does.
  if (option.negate && name !== option.long) return on ? [] : [option.long!];
  return on ? [name] : [];
}

/** The commands that docker has in groups, too, by other names than here. */
const RENAMED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  container: { ls: 'ps', list: 'ps' },
  system: {},
};

function plainWord(top: Command, group: string, word = ''): Command | undefined {
  const names = RENAMED[group];
  if (names === undefined || word === '') return undefined;
  const own = subcommand(top, group);
  // Prune and the like are the group's own.
  return own !== undefined && subcommand(own, word) !== undefined ? undefined : subcommand(top, names[word] ?? word);
}

/** Also the flag that a --no-… puts off. */
function optionOf(top: Command, command: Command, name: string): Option | undefined {
  const options = [...command.options, ...top.options];
  return (
    options.find((one) => one.long === name || one.short === name) ??
    options.find((one) => one.negate && one.long === name.replace(/^--/, '--no-'))
  );
}

/** Of letters together the last one counts: `-it` takes nothing, `-itv` does. */
function takesNext(top: Command, command: Command, word: string): boolean {
  if (word.startsWith('--')) {
    const option = optionOf(top, command, word);
    return option !== undefined && (option.required || option.optional);
  }
  for (const [n, letter] of [...word.slice(1)].entries()) {
    const option = optionOf(top, command, `-${letter}`);
    // What is behind one that takes a value is its value.
    if (option === undefined || option.required || option.optional)
      return option !== undefined && n === word.length - 2;
  }
  return false;
}

function subcommand(command: Command, word: string): Command | undefined {
  return command.commands.find((one) => one.name() === word || one.aliases().includes(word));
}

function passesThrough(command: Command): boolean {
  return (command as unknown as { readonly _passThroughOptions?: boolean })._passThroughOptions === true;
}
