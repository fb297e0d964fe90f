/** The command line, in containerd's form. */
import { didYouMean } from './nearest.js';
import type { Overrides } from './config/index.js';

export const USAGE = `hawserd: runs containers' shims, and serves containerd's API

Usage: hawserd [flags]
       hawserd [flags] config default|check|dump

Commands:
  config default   print a configuration file with every key explained
  config check     read the configuration, and say what is wrong with it
  config dump      print what holds, with the file and the flags taken together

Flags:
  -c, --config FILE       configuration (default /etc/hawser/config.toml, if there is one)
  -a, --address PATH      socket of the API (default /run/hawser/hawserd.sock)
      --root DIR          what lasts (default /var/lib/hawser)
      --state DIR         what a reboot clears (default /run/hawser/state)
  -l, --log-level LEVEL   trace, debug, info (default), warn, error, fatal or panic
      --log-format FORM   json or text (default: text on a terminal, else json)
  -v, --version           print the version
  -h, --help              print this

Signals: SIGTERM and SIGINT end the daemon, and containers live on; SIGUSR1 writes its state to the log.
`;

export type Command = 'run' | 'version' | 'help' | 'config default' | 'config check' | 'config dump';

export interface Invocation {
  readonly command: Command;
  readonly config: string | undefined;
  readonly overrides: Overrides;
}

/** The command line cannot be understood; the text says why. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const SHORT: Readonly<Record<string, string>> = { c: 'config', a: 'address', l: 'log-level', v: 'version', h: 'help' };
const VALUED: Readonly<Record<string, keyof Overrides | 'config'>> = {
  config: 'config', address: 'address', root: 'root', state: 'state', 'log-level': 'logLevel', 'log-format': 'logFormat',
};
const CONFIG_COMMANDS = ['default', 'check', 'dump'];

/** @param args what stands after the program's name. Flags may have one dash or two, and their value after `=` or a space. */
export function parseFlags(args: readonly string[]): Invocation {
  const values: Record<string, string> = {};
  const words: string[] = [];
  let command: Command = 'run';
  for (let i = 0; i < args.length; i++) {
    const [, given, inline] = /^--?([^=-][^=]*)(?:=([^]*))?$/.exec(args[i]!) ?? [];
    if (given === undefined) {
      words.push(args[i]!);
      continue;
    }
    const name = SHORT[given] ?? given;
    if (name === 'version' || name === 'help') {
      command = name;
      continue;
    }
    if (!Object.hasOwn(VALUED, name)) throw new UsageError(`unknown flag ${args[i]!.split('=')[0]}${didYouMean(`--${name}`, [...Object.keys(VALUED), 'version', 'help'].map((flag) => `--${flag}`))}`);
    const value = inline ?? args[++i];
    if (value === undefined || value === '') throw new UsageError(`flag --${name} needs a value`);
    values[VALUED[name]!] = value;
  }
  const { config, ...overrides } = values;
  return { command: command === 'run' ? commandOf(words) : command, config, overrides };
}

function commandOf([first, second, third]: readonly string[]): Command {
  if (first === undefined) return 'run';
  if (first === 'help') return 'help';
  if (first !== 'config') throw new UsageError(`unknown command ${first}${didYouMean(first, ['config', 'help'])}`);
  if (second === undefined || !CONFIG_COMMANDS.includes(second)) throw new UsageError(`config needs one of ${CONFIG_COMMANDS.join(', ')}`);
  if (third !== undefined) throw new UsageError(`nothing can stand after config ${second}: ${third}`);
  return `config ${second}` as Command;
}
