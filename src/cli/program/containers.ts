/** Commands for containers that are there. */
import type { Command } from 'commander';
import { collect, does, integer, positive } from './define.js';

const GROUP = 'Containers:';
const FORMAT = 'json, or a template such as {{.ID}}';

export function containerCommands(top: Command): void {
  const command = (name: string, description: string): Command =>
    top.command(name).helpGroup(GROUP).description(description);

  does(
    command('ps', 'List containers')
      .alias('ls')
      .option('-a, --all', "those that don't run, too")
      .option('-q, --quiet', 'ids alone')
      .option('--no-trunc', 'cut nothing')
      .option('-n, --last <number>', 'the last ones made, of any state', integer('--last', 1))
      .option('-l, --latest', 'the last one made')
      .option('-f, --filter <name=value>', 'id, name, label, status, exited, ancestor', collect)
      .option('--format <form>', `table, ${FORMAT}`),
    async (_args, options, globals) => {
      const { psCommand } = await import('../commands/index.js');
      await psCommand(options, globals);
    },
  );
  does(
    command('logs', 'Show what a container has printed')
      .argument('<container>', 'container')
      .option('-f, --follow', 'go on until it ends')
      .option('-n, --tail <lines>', 'so many lines from the end, or all')
      .option('-t, --timestamps', 'with times')
      .option('--since <time>', 'what came after, such as 10m'),
    async (args, options, globals) => {
      const { logsCommand } = await import('../commands/index.js');
      await logsCommand(args[0] as string, options, globals);
    },
  );
  does(
    command('inspect', 'Show all that is known of containers, images and volumes')
      .argument('<container...>', 'names or ids')
      .option('--type <type>', 'container, image or volume')
      .option('-f, --format <form>', FORMAT),
    async (args, options, globals) => {
      const { inspectCommand } = await import('../commands/index.js');
      await inspectCommand(args[0] as string[], options, globals);
    },
  );
  does(
    command('top', "List a container's processes")
      .usage('CONTAINER [PS OPTIONS]')
      .argument('<container>', 'container')
      .argument('[ps-options...]', 'options for ps')
      .passThroughOptions(),
    async (args, options, globals) => {
      const { topCommand } = await import('../commands/index.js');
      await topCommand(args[0] as string, args[1] as string[], options, globals);
    },
  );
  does(
    command('stats', 'Show what containers use, live')
      .argument('[container...]', 'containers; all that run unless given')
      .option('-a, --all', "those that don't run, too")
      .option('--no-stream', 'once')
      .option('--no-trunc', 'cut nothing')
      .option('--format <form>', `table, ${FORMAT}`),
    async (args, options, globals) => {
      const { statsCommand } = await import('../commands/index.js');
      await statsCommand(args[0] as string[], options, globals);
    },
  );
  does(
    command('wait', 'Wait for containers to end, and print their exit statuses').argument(
      '<container...>',
      'containers',
    ),
    async (args, _options, globals) => {
      const { waitCommand } = await import('../commands/index.js');
      await waitCommand(args[0] as string[], globals);
    },
  );

  does(
    command('rename', 'Give a container another name, by which it is found as by its id')
      .argument('<container>', 'container')
      .argument('<name>', 'the name'),
    async (args, _options, globals) => {
      const { renameCommand } = await import('../commands/index.js');
      await renameCommand(args[0] as string, args[1] as string, globals);
    },
  );
  const each = (name: string, description: string): Command =>
    command(name, description).argument('<container...>', 'containers');
  does(
    each('kill', 'Send containers a signal')
      .option('-s, --signal <signal>', 'by name or number', 'KILL')
      .option('-a, --all', 'to all of their processes'),
    async (args, options, globals) => {
      const { killCommand } = await import('../commands/index.js');
      await killCommand(args[0] as string[], options as { signal: string; all?: boolean }, globals);
    },
  );
  does(
    each('stop', 'End containers: by a signal, and by force when that does not help')
      .option(
        '-t, --time <seconds>',
        'how long to wait (10, or its --stop-timeout); -1 for ever',
        integer('--time', -1),
      )
      .option('-s, --signal <signal>', 'instead of its stop signal'),
    async (args, options, globals) => {
      const { stopCommand } = await import('../commands/index.js');
      await stopCommand(args[0] as string[], options, globals);
    },
  );
  does(
    each('restart', 'End containers and start them again')
      .option('-t, --time <seconds>', 'how long to wait (10, or its --stop-timeout)', integer('--time', -1))
      .option('-s, --signal <signal>', 'instead of its stop signal'),
    async (args, options, globals) => {
      const { restartCommand } = await import('../commands/index.js');
      await restartCommand(args[0] as string[], options, globals);
    },
  );
  does(
    each('rm', 'Remove containers')
      .option('-f, --force', 'those that run, too; it is no error when there are none')
      .option('-v, --volumes', 'with their anonymous volumes'),
    async (args, options, globals) => {
      const { removeCommand } = await import('../commands/index.js');
      await removeCommand(args[0] as string[], options, globals);
    },
  );
  does(each('pause', 'Have containers stand still'), async (args, _options, globals) => {
    const { pauseCommand } = await import('../commands/index.js');
    await pauseCommand(args[0] as string[], globals);
  });
  does(each('unpause', 'Have containers go on'), async (args, _options, globals) => {
    const { unpauseCommand } = await import('../commands/index.js');
    await unpauseCommand(args[0] as string[], globals);
  });
  does(
    each('update', 'Change the limits of containers, and whether they are started again')
      .option('--restart <policy>', 'no, always, unless-stopped, on-failure[:times]')
      .option('-m, --memory <size>', 'memory, such as 512m')
      .option('--memory-swap <size>', 'memory and swap together; -1 for no limit of swap')
      .option('--memory-reservation <size>', 'memory that it is left with when there is little')
      .option('--cpus <number>', 'how many processors', positive('--cpus'))
      .option('-c, --cpu-shares <number>', 'its share of busy processors', integer('--cpu-shares', 2))
      .option('--cpuset-cpus <list>', 'which processors: 0-1,3')
      .option('--cpuset-mems <list>', 'which nodes of memory: 0-1')
      .option(
        '--cpu-quota <microseconds>',
        'processor time in each period; -1 for no limit',
        integer('--cpu-quota', -1),
      )
      .option('--cpu-period <microseconds>', 'how long such a period is (100000)', integer('--cpu-period', 1000))
      .option('--blkio-weight <number>', 'its share of busy disks, from 10 to 1000', integer('--blkio-weight', 0))
      .option('--pids-limit <number>', 'how many processes; -1 for no limit', integer('--pids-limit', -1)),
    async (args, options, globals) => {
      const { updateCommand } = await import('../commands/index.js');
      await updateCommand(args[0] as string[], options, globals);
    },
  );
  does(
    command('debug', "Show the state of a container's shim: what it does, and what it waits for")
      .argument('<container>', 'container')
      .argument('[topic]', 'state or metrics', 'state'),
    async (args, _options, globals) => {
      const { debugCommand } = await import('../commands/index.js');
      await debugCommand(args[0] as string, args[1] as string, globals);
    },
  );
}
