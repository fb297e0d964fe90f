/** Commands for networks. */
import type { Command } from 'commander';
import { collect, does } from './define.js';

const GROUP = 'Networks:';

export function networkCommands(top: Command): void {
  const network = top
    .command('network')
    .helpGroup(GROUP)
    .description('Networks: ls, create, inspect, rm and prune are below it')
    .enablePositionalOptions();
  does(
    network
      .command('ls')
      .alias('list')
      .description('List networks')
      .option('-q, --quiet', 'ids alone')
      .option('--no-trunc', 'cut nothing')
      .option('-f, --filter <name=value>', 'name, driver, label, id', collect)
      .option('--format <form>', 'table, json, or a template such as {{.Name}}'),
    async (_args, options, globals) => {
      const { networksCommand } = await import('../commands/network.js');
      await networksCommand(options, globals);
    },
  );
  does(
    network
      .command('create')
      .description('Make a network')
      .argument('<name>', 'its name')
      .option('-d, --driver <name>', 'bridge, macvlan or ipvlan (bridge)')
      .option('--subnet <subnet>', 'such as 10.1.0.0/24, or of IPv6; one that is free unless given', collect)
      .option('--gateway <address>', "the host's address in it (the subnet's first)", collect)
      .option('--ip-range <subnet>', 'a part of the subnet, of which containers get addresses')
      .option('--ipv6', 'with a subnet of IPv6, too')
      .option('--internal', 'nothing leads out of it')
      .option('-o, --opt <name=value>', 'mtu, bridge (name of its interface); parent, mode', collect)
      .option('--label <name=value>', 'a label', collect),
    async (args, options, globals) => {
      const { createNetworkCommand } = await import('../commands/network.js');
      await createNetworkCommand(args[0] as string, options, globals);
    },
  );
  does(
    network
      .command('inspect')
      .description('Show all that is known of networks')
      .argument('<network...>', 'networks')
      .option('-f, --format <form>', 'json, or a template such as {{.Driver}}'),
    async (args, options, globals) => {
      const { inspectNetworksCommand } = await import('../commands/network.js');
      await inspectNetworksCommand(args[0] as string[], options, globals);
    },
  );
  does(
    network
      .command('rm')
      .alias('remove')
      .description('Remove networks')
      .argument('<network...>', 'networks')
      .option('-f, --force', 'it is no error when there are none'),
    async (args, options, globals) => {
      const { removeNetworksCommand } = await import('../commands/network.js');
      await removeNetworksCommand(args[0] as string[], options, globals);
    },
  );
  does(
    network
      .command('prune')
      .description('Remove the networks that Hawser has made and no container uses, but the default one')
      .option('-f, --force', 'without asking')
      .option('--filter <name=value>', 'until=24h: made so long ago; label=NAME[=VALUE], label!=NAME[=VALUE]', collect),
    async (_args, options, globals) => {
      const { pruneNetworksCommand } = await import('../commands/network.js');
      await pruneNetworksCommand(options, globals);
    },
  );
  does(
    top
      .command('port')
      .helpGroup(GROUP)
      .description("List the ports of the host that lead to a container's")
      .argument('<container>', 'container')
      .argument('[port]', "one of the container's, such as 80 or 53/udp"),
    async (args, _options, globals) => {
      const { portCommand } = await import('../commands/network.js');
      await portCommand(args[0] as string, args[1] as string | undefined, globals);
    },
  );
}
