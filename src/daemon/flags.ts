/** The command line, in containerd's form. */
import { didYouMean } from '../text/nearest.js';
import type { Overrides } from './config/index.js';

export const USAGE = `hawserd: runs containers' shims, and serves containerd's API

Usage: hawserd [flags]
       hawserd [flags] config default|check|dump|migrate
       hawserd [flags] publish --topic TOPIC --namespace NAME <EVENT
       hawserd oci-hook [--] PROGRAM [ARGUMENT...] <STATE

Commands:
  config default   print a configuration file with every key explained
  config check     read the configuration, and say what is wrong with it
  config dump      print what holds, with the file and the flags taken together
  config migrate   print the same in the newest form, version 4, with the settings of all plugins
  publish          have the hawserd that runs tell an event, for shims; standard input is the event as a google.protobuf.Any
  oci-hook         for a hook of an OCI runtime: become PROGRAM, in whose arguments and environment {{id}}, {{bundle}}, {{rootfs}},
                   {{pid}}, {{status}} and {{annotation "NAME"}} are those of the container; standard input is its state

Flags:
  -c, --config FILE       configuration (default /etc/hawser/config.toml, if there is one)
  -a, --address PATH      socket of the API (default /run/hawser/hawserd.sock)
      --root DIR          what lasts (default /var/lib/hawser)
      --state DIR         what a reboot clears (default /run/hawser/state)
  -l, --log-level LEVEL   trace, debug, info (default), warn, error, fatal or panic
      --log-format FORM   json or text (default: text on a terminal, else json)
      --topic TOPIC       with publish: what it is about, as /tasks/oom
      --namespace NAME    with publish: whose it is
  -v, --version           print the version
  -h, --help              print this

Signals: SIGTERM and SIGINT end the daemon, and containers live on; SIGUSR1 writes its state to the log.
`;

export type Command =
  | 'run'
  | 'version'
  | 'help'
  | 'config default'
  | 'config check'
  | 'config dump'
  | 'config migrate'
  | 'publish'
  | 'oci-hook';

export interface Invocation {
  readonly command: Command;
  readonly config: string | undefined;
  readonly overrides: Overrides;
  /** What `publish` is to tell, and of whom. */
  readonly event?: { readonly topic: string; readonly namespace: string };
  /** The program that `oci-hook` is to become, with its arguments. */
  readonly hook?: readonly string[];
}

/** The command line cannot be understood; the text says why. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const SHORT: Readonly<Record<string, string>> = { c: 'config', a: 'address', l: 'log-level', v: 'version', h: 'help' };
const VALUED: Readonly<Record<string, keyof Overrides | 'config' | 'topic' | 'namespace'>> = {
  config: 'config',
  address: 'address',
  root: 'root',
  state: 'state',
  'log-level': 'logLevel',
  'log-format': 'logFormat',
  topic: 'topic',
  namespace: 'namespace',
};
const CONFIG_COMMANDS = ['default', 'check', 'dump', 'migrate'];

/** @param args what stands after the program's name. Flags may have one dash or two, and their value after `=` or a space. */
export function parseFlags(args: readonly string[]): Invocation {
  const values: Record<string, string> = {};
  const words: string[] = [];
  let command: Command = 'run';
  let hook: readonly string[] | undefined;
  for (let i = 0; i < args.length; i++) {
    if (args[i] === 'oci-hook' && words.length === 0) {
      words.push('oci-hook');
      // Flags among them are the program's.
      hook = args.slice(i + 1);
      break;
    }
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
    if (!Object.hasOwn(VALUED, name))
      throw new UsageError(
        `unknown flag ${args[i]!.split('=')[0]}${didYouMean(
          `--${name}`,
          [...Object.keys(VALUED), 'version', 'help'].map((flag) => `--${flag}`),
        )}`,
      );
    const value = inline ?? args[++i];
    if (value === undefined || value === '') throw new UsageError(`flag --${name} needs a value`);
    values[VALUED[name]!] = value;
  }
  if (command === 'run') command = commandOf(words);
  const { config, topic, namespace, ...overrides } = values;
  const event = command === 'help' || command === 'version' ? undefined : eventOf(command, topic, namespace);
  const more = command === 'oci-hook' ? { hook: programOf(hook!) } : event === undefined ? {} : { event };
  return { command, config, overrides, ...more };
}

/** As with containerd, a flag before the program is one of the command's own, of which there are none. */
function programOf([first, ...rest]: readonly string[]): readonly string[] {
  if (first !== undefined && first !== '--' && first.startsWith('-'))
    throw new UsageError(`unknown flag ${first} of oci-hook: put -- before the program that it is to run`);
  const program = first === '--' ? rest : first === undefined ? [] : [first, ...rest];
  if (program.length === 0) throw new UsageError('oci-hook needs the program that it is to run');
  return program;
}

function eventOf(command: Command, topic: string | undefined, namespace: string | undefined): Invocation['event'] {
  if (command !== 'publish') {
    if (topic !== undefined || namespace !== undefined)
      throw new UsageError(`flag --${topic === undefined ? 'namespace' : 'topic'} goes with publish only`);
    return undefined;
  }
  if (topic === undefined || namespace === undefined)
    throw new UsageError(`publish needs the flag --${topic === undefined ? 'topic' : 'namespace'}`);
  return { topic, namespace };
}

function commandOf([first, second, third]: readonly string[]): Command {
  if (first === 'publish' && second !== undefined) throw new UsageError(`nothing can stand after publish: ${second}`);
  if (first === undefined) return 'run';
  if (first === 'help' || first === 'publish' || first === 'oci-hook') return first;
  if (first !== 'config')
    throw new UsageError(`unknown command ${first}${didYouMean(first, ['config', 'publish', 'oci-hook', 'help'])}`);
  if (second === undefined || !CONFIG_COMMANDS.includes(second))
    throw new UsageError(`config needs one of ${CONFIG_COMMANDS.join(', ')}`);
  if (third !== undefined) throw new UsageError(`nothing can stand after config ${second}: ${third}`);
  return `config ${second}` as Command;
}
