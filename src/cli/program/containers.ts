/** Commands for containers that are there. */
import type { Command } from 'commander';
import { collect, does, integer, positive } from './define.js';

export const GROUP = 'Containers:';
export const FORMAT = 'json, or a template such as {{.ID}}';

export function containerCommands(top: Command): void {
  const command = (name: string, description: string): Command =>
    top.command(name).helpGroup(GROUP).description(description);

  does(
    command('logs', 'Show what a container has printed')
      .argument('<container>', 'container')
      .option('-f, --follow', 'go on until it ends')
      .option('-n, --tail <lines>', 'so many lines from the end, or all')
      .option('-t, --timestamps', 'with times')
      .option('--since <time>', 'what came then or later: 2024-05-01T10:00:00Z, or how long ago, such as 10m')
      .option('--until <time>', 'what came then or earlier'),
    async (args, options, globals) => {
      const { logsCommand } = await import('../commands/logs.js');
      await logsCommand(args[0] as string, options, globals);
    },
  );
  does(
    command('inspect', 'Show all that is known of containers, images and volumes')
      .argument('<container...>', 'names or ids')
      .option('-s, --size', 'of containers, what they take on the disk: SizeRw, SizeRootFs')
      .option('--type <type>', 'container, image or volume')
      .option('-f, --format <form>', FORMAT),
    async (args, options, globals) => {
      const { inspectCommand } = await import('../commands/inspect.js');
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
      const { topCommand } = await import('../commands/top.js');
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
      const { statsCommand } = await import('../commands/stats.js');
      await statsCommand(args[0] as string[], options, globals);
    },
  );
  does(
    command('wait', 'Wait for containers to end, and print their exit statuses').argument(
      '<container...>',
      'containers',
    ),
    async (args, _options, globals) => {
      const { waitCommand } = await import('../commands/wait.js');
      await waitCommand(args[0] as string[], globals);
    },
  );

  does(
    command('commit', 'Make an image of what a container has changed')
      .argument('<container>', 'container')
      .argument('[name]', 'what the image is called, such as mine:1')
      .option('-a, --author <author>', 'who has made it')
      .option('-m, --message <text>', 'for its history')
      .option('-c, --change <instruction>', "of a Dockerfile, such as 'CMD [\"sh\"]', 'ENV A=b'", collect)
      .option('--no-pause', 'the container goes on meanwhile, instead of standing still'),
    async (args, options, globals) => {
      const { commitCommand } = await import('../commands/commit.js');
      await commitCommand(args[0] as string, args[1] as string | undefined, options, globals);
    },
  );
  does(
    command('cp', 'Copy files into or out of a container, which need not run')
      .usage('[OPTIONS] CONTAINER:PATH PATH|-, or PATH|- CONTAINER:PATH')
      .argument('<source>', 'file of the container or of this machine; - is a tar archive on standard input')
      .argument('<target>', 'where to; - is a tar archive on standard output')
      .option('-a, --archive', "files in the container become its user's")
      .option('-L, --follow-link', 'of a symbolic link, what it leads to')
      .option('-q, --quiet', 'do not say how much was copied'),
    async (args, options, globals) => {
      const { copyCommand } = await import('../commands/copy.js');
      await copyCommand(args[0] as string, args[1] as string, options, globals);
    },
  );
  does(
    command('diff', "Show what a container has changed of its image's files: A added, C changed, D deleted").argument(
      '<container>',
      'container',
    ),
    async (args, _options, globals) => {
      const { diffCommand } = await import('../commands/diff.js');
      await diffCommand(args[0] as string, globals);
    },
  );
  does(
    command('export', "Write a container's root file system as a tar archive")
      .argument('<container>', 'container')
      .option('-o, --output <file>', 'where to (standard output)'),
    async (args, options, globals) => {
      const { exportCommand } = await import('../commands/export.js');
      await exportCommand(args[0] as string, options, globals);
    },
  );
  does(
    command('rename', 'Give a container another name, by which it is found as by its id')
      .argument('<container>', 'container')
      .argument('<name>', 'the name'),
    async (args, _options, globals) => {
      const { renameCommand } = await import('../commands/rename.js');
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
      const { killCommand } = await import('../commands/kill.js');
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
      const { stopCommand } = await import('../commands/stop.js');
      await stopCommand(args[0] as string[], options, globals);
    },
  );
  does(
    each('restart', 'End containers and start them again')
      .option('-t, --time <seconds>', 'how long to wait (10, or its --stop-timeout)', integer('--time', -1))
      .option('-s, --signal <signal>', 'instead of its stop signal'),
    async (args, options, globals) => {
      const { restartCommand } = await import('../commands/stop.js');
      await restartCommand(args[0] as string[], options, globals);
    },
  );
  does(
    each('rm', 'Remove containers')
      .option('-f, --force', 'those that run, too; it is no error when there are none')
      .option('-v, --volumes', 'with their anonymous volumes'),
    async (args, options, globals) => {
      const { removeCommand } = await import('../commands/remove.js');
      await removeCommand(args[0] as string[], options, globals);
    },
  );
  does(each('pause', 'Have containers stand still'), async (args, _options, globals) => {
    const { pauseCommand } = await import('../commands/pause.js');
    await pauseCommand(args[0] as string[], globals);
  });
  does(each('unpause', 'Have containers go on'), async (args, _options, globals) => {
    const { unpauseCommand } = await import('../commands/pause.js');
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
      .option(
        '--cpu-rt-runtime <microseconds>',
        'real-time scheduling in each period, where the kernel has it (cgroup v1)',
        integer('--cpu-rt-runtime'),
      )
      .option('--cpu-rt-period <microseconds>', 'how long such a period is', integer('--cpu-rt-period'))
      .option('--blkio-weight <number>', 'its share of busy disks, from 10 to 1000', integer('--blkio-weight', 0))
      .option('--pids-limit <number>', 'how many processes; -1 for no limit', integer('--pids-limit', -1)),
    async (args, options, globals) => {
      const { updateCommand } = await import('../commands/update.js');
      await updateCommand(args[0] as string[], options, globals);
    },
  );
  does(
    command('debug', "Show the state of a container's shim: what it does, and what it waits for")
      .argument('<container>', 'container')
      .argument('[topic]', 'state or metrics', 'state'),
    async (args, _options, globals) => {
      const { debugCommand } = await import('../commands/debug.js');
      await debugCommand(args[0] as string, args[1] as string, globals);
    },
  );
}
