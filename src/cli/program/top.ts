/** hawser itself, and the flags that stand before any command. */
import { Command } from 'commander';
import { VERSION } from '../version.js';

/** Without a command. Which of these flags has a value is known to packaging/load.cjs, too. */
export function topCommand(): Command {
  return new Command('hawser')
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
}
