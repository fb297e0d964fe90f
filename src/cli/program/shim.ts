/** Commands about the shim, and about whether the machine has what it takes. */
import type { Command } from 'commander';
import { does } from './define.js';

const ROOT = "a file system's directory, instead of /";

export function shimCommands(top: Command): void {
  const shim = top
    .command('shim')
    .helpGroup('System:')
    .description(
      "Have containerd or docker run containers in Hawser's shim: enable, disable, status and upgrade are below it",
    )
    .enablePositionalOptions();
  shim
    .command('enable')
    .description(
      "Have a daemon find Hawser's shim: for all containers of its default runtime, or as a runtime of another name",
    )
    .option('--for <daemon>', 'containerd or docker; whichever there is, containerd first, unless given')
    .option('--runtime-class <name>', 'only for containers of a runtime that is to be called so')
    .option('--dry-run', 'write nothing, and print what would be written, as a patch')
    .option('--root <directory>', ROOT)
    .action(async (options: Record<string, unknown>) => {
      const { shimEnableCommand } = await import('../commands/shim.js');
      shimEnableCommand(options);
    });
  shim
    .command('disable')
    .description('Take away what enable has written')
    .option('--force', 'also what was edited since, and runtimes that containers of docker need to be started again')
    .option('--dry-run', 'remove nothing, and print what would be, as a patch')
    .option('--root <directory>', ROOT)
    .action(async (options: Record<string, unknown>) => {
      const { shimDisableCommand } = await import('../commands/shim.js');
      shimDisableCommand(options);
    });
  shim
    .command('status')
    .description('Show which shim containers get')
    .option('--json', 'as JSON')
    .option('--root <directory>', ROOT)
    .action(async (options: Record<string, unknown>) => {
      const { shimStatusCommand } = await import('../commands/shim.js');
      shimStatusCommand(options);
    });
  shim
    .command('upgrade')
    .description('Have shims that run go on with this version, without their containers noticing')
    .option('--all', 'those of all containers that were started from this installation')
    .option('--namespace <name>', 'only those of this namespace; with --id, that of the container')
    .option('--id <container>', 'that of one container, wherever it was started from')
    .option('--shim-address <socket>', 'only those of the daemon whose gRPC socket this is')
    .option('--wait <seconds>', 'how long each may take until nothing is under way that stands against it')
    .option('--dry-run', 'change nothing, and say what would be done')
    .action(async (options: Record<string, unknown>) => {
      const { shimUpgradeCommand } = await import('../commands/shim.js');
      shimUpgradeCommand(options);
    });
  does(
    top
      .command('doctor')
      .helpGroup('System:')
      .description('Look whether the machine has what Hawser takes; ends with 1 when something is wrong')
      .option('--json', 'as JSON'),
    async (_args, options, globals) => {
      const { doctorCommand } = await import('../commands/doctor.js');
      await doctorCommand(options, globals);
    },
  );
}
