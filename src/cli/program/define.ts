/** How commands are declared. */
import { Option, type Command } from 'commander';
import { UsageError } from '../errors.js';
import type { Globals } from '../address.js';

/** A command's work: its arguments in order, its options, and where to do it. */
export type Work = (args: unknown[], options: Record<string, unknown>, globals: Globals) => Promise<void>;

/** Has a command do its work. Where to may be said before the command and behind it. */
export function does(command: Command, work: Work): Command {
  command.addOption(new Option('--address <path>', "the daemon's socket").hideHelp());
  command.addOption(new Option('--namespace <name>', 'namespace').hideHelp());
  command.addOption(new Option('--cni-path <dirs>', 'plugins of networks').hideHelp());
  command.addOption(new Option('--cni-netconfpath <dir>', 'configurations of networks').hideHelp());
  return command.action(async (...all: unknown[]) => {
    const self = all.at(-1) as Command;
    const args = all.slice(0, -2);
    const options = self.opts<Record<string, unknown>>();
    let top = self;
    while (top.parent !== null) top = top.parent;
    const globals = {
      ...top.opts<Globals>(),
      ...(options.address === undefined ? {} : { address: options.address as string }),
      ...(options.namespace === undefined ? {} : { namespace: options.namespace as string }),
      ...(options.cniPath === undefined ? {} : { cniPath: options.cniPath as string }),
      ...(options.cniNetconfpath === undefined ? {} : { cniNetconfpath: options.cniNetconfpath as string }),
    };
    await work(args, options, globals);
  });
}

/** For options that may come more than once. */
export function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** A whole number from a minimum on. */
export function integer(what: string, minimum = 0): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < minimum)
      throw new UsageError(`${what} ${JSON.stringify(text)} is no whole number from ${minimum} on`);
    return value;
  };
}

/** A number above 0. */
export function positive(what: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value > 0)) throw new UsageError(`${what} ${JSON.stringify(text)} is no number above 0`);
    return value;
  };
}
