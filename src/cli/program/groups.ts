/** Docker's groups of commands: what stands below them alone. The rest of each is what it is without the group. */
import type { Command } from 'commander';
import { collect, does } from './define.js';

const GROUP = 'System:';
const UNTIL = 'until=1h: made so long ago; label=NAME[=VALUE], label!=NAME[=VALUE]';

export function groupCommands(top: Command): void {
  const container = top
    .command('container')
    .helpGroup(GROUP)
    .description("Docker's group: prune is below it, and ls, run, stop and all others as they are without it")
    .enablePositionalOptions();
  does(
    container
      .command('prune')
      .description('Remove containers that do not run')
      .option('-f, --force', 'without asking')
      .option('--filter <name=value>', UNTIL, collect),
    async (_args, options, globals) => {
      const { pruneContainersCommand } = await import('../commands/prune.js');
      await pruneContainersCommand(options, globals);
    },
  );
  const system = top
    .command('system')
    .helpGroup(GROUP)
    .description("Docker's group: df and prune are below it, and info, events as they are without it")
    .enablePositionalOptions();
  does(
    system
      .command('df')
      .description('Show how much images, containers and volumes take')
      .option('-v, --verbose', 'each of them')
      .option('--format <form>', 'table, json, or a template such as {{.Type}}'),
    async (_args, options, globals) => {
      const { diskCommand } = await import('../commands/disk.js');
      await diskCommand(options, globals);
    },
  );
  does(
    system
      .command('prune')
      .description('Remove containers that do not run, and images without a tag that no container was made from')
      .option('-a, --all', 'images with a tag, too')
      .option('--volumes', 'anonymous volumes that no container has, too')
      .option('-f, --force', 'without asking')
      .option('--filter <name=value>', UNTIL, collect),
    async (_args, options, globals) => {
      const { pruneSystemCommand } = await import('../commands/prune.js');
      await pruneSystemCommand(options, globals);
    },
  );
}
