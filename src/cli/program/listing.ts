/** The command that is asked most, by itself: nothing else need be declared for it. */
import type { Command } from 'commander';
import { FORMAT, GROUP } from './containers.js';
import { collect, does, integer } from './define.js';

export function listingCommands(top: Command): void {
  does(
    top
      .command('ps')
      .helpGroup(GROUP)
      .description('List containers')
      .alias('ls')
      .option('-a, --all', "those that don't run, too")
      .option('-q, --quiet', 'ids alone')
      .option('--no-trunc', 'cut nothing')
      .option('-n, --last <number>', 'the last ones made, of any state', integer('--last', 1))
      .option('-l, --latest', 'the last one made')
      .option('-s, --size', 'with what each takes on the disk, by itself and with its image')
      .option('-f, --filter <name=value>', 'id, name, label, status, exited, ancestor', collect)
      .option('--format <form>', `table, ${FORMAT}`),
    async (_args, options, globals) => {
      const { psCommand } = await import('../commands/ps.js');
      await psCommand(options, globals);
    },
  );
}
