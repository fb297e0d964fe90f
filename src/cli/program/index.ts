/** All commands with their flags. Help, completion and the manual page are made from this. */
import { Command } from 'commander';
import { didYouMean } from '../../text/nearest.js';
import { Exit, UsageError } from '../errors.js';
import { VERSION } from '../version.js';
import { containerCommands } from './containers.js';
import { COMMANDS } from './elsewhere.js';
import { groupCommands } from './groups.js';
import { imageCommands } from './images.js';
import { listingCommands } from './listing.js';
import { networkCommands } from './networks.js';
import { runningCommands } from './running.js';
import { shimCommands } from './shim.js';
import { systemCommands } from './system.js';
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
  const top = new Command('hawser')
    .description('Containers of hawserd, or of any containerd.')
    .usage('[OPTIONS] COMMAND')
    .option(
      '-a, --address <path>',
      "the daemon's socket ($CONTAINERD_ADDRESS; hawserd's if it is there, else containerd's)",
    )
    .option('-n, --namespace <name>', 'namespace of the containers ($CONTAINERD_NAMESPACE, or default)')
    .option(
      '--cni-path <dirs>',
      'where the plugins of networks are ($CNI_PATH; /opt/cni/bin, /usr/lib/cni, /usr/libexec/cni)',
    )
    .option('--cni-netconfpath <dir>', 'where configurations of networks are ($NETCONFPATH, or /etc/cni/net.d)')
    .version(`hawser ${VERSION}`, '-v, --version', 'print the version')
    .helpOption('--help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .enablePositionalOptions()
    .configureHelp({ helpWidth: Math.min(process.stdout.columns || 120, 140), showGlobalOptions: false })
    .configureOutput({
      writeErr: (text) => {
        if (!text.startsWith('error:')) process.stderr.write(text);
      },
    })
    .exitOverride()
    .addHelpText('after', "\nRun 'hawser COMMAND --help' for the flags of a command; `man hawser` has the rest.");
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
