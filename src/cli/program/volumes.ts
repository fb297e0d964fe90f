/** Commands for volumes. */
import type { Command } from 'commander';
import { collect, does } from './define.js';

const GROUP = 'Volumes:';
const FORMAT = 'json, or a template such as {{.Name}}';

export function volumeCommands(top: Command): void {
  const volumes = top
    .command('volume')
    .alias('volumes')
    .helpGroup(GROUP)
    .description('Directories that outlive containers: ls, create, inspect, rm and prune are below it')
    .enablePositionalOptions();
  does(
    volumes
      .command('ls')
      .alias('list')
      .description('List volumes')
      .option('-q, --quiet', 'names alone')
      .option('-f, --filter <name=value>', 'name, label, dangling, driver', collect)
      .option('-s, --size', 'with how much is in them')
      .option('--format <form>', `table, ${FORMAT}`),
    async (_args, options, globals) => {
      const { volumesCommand } = await import('../commands/volumes.js');
      await volumesCommand(options, globals);
    },
  );
  does(
    volumes
      .command('create')
      .description('Make a volume, and print its name')
      .argument('[name]', 'its name (made up unless given)')
      .option('-d, --driver <driver>', 'local', 'local')
      .option('--label <name=value>', 'a label', collect)
      .option('-o, --opt <name=value>', "an option of the driver's: local has none here", collect),
    async (args, options, globals) => {
      const { createVolumeCommand } = await import('../commands/volumes.js');
      await createVolumeCommand(args[0] as string | undefined, options, globals);
    },
  );
  does(
    volumes
      .command('inspect')
      .description('Show all that is known of volumes')
      .argument('<volume...>', 'volumes')
      .option('-f, --format <form>', FORMAT)
      .option('-s, --size', 'with how much is in them'),
    async (args, options, globals) => {
      const { inspectVolumesCommand } = await import('../commands/volumes.js');
      await inspectVolumesCommand(args[0] as string[], options, globals);
    },
  );
  does(
    volumes
      .command('rm')
      .alias('remove')
      .description('Remove volumes with all that is in them')
      .argument('<volume...>', 'volumes')
      .option('-f, --force', 'it is no error when there are none'),
    async (args, options, globals) => {
      const { removeVolumesCommand } = await import('../commands/volumes.js');
      await removeVolumesCommand(args[0] as string[], options, globals);
    },
  );
  does(
    volumes
      .command('prune')
      .description('Remove anonymous volumes that no container has')
      .option('-a, --all', 'those with a name, too')
      .option('-f, --force', 'without asking')
      .option('--filter <name=value>', 'label=NAME[=VALUE], label!=NAME[=VALUE]', collect),
    async (_args, options, globals) => {
      const { pruneVolumesCommand } = await import('../commands/volumes.js');
      await pruneVolumesCommand(options, globals);
    },
  );
}
