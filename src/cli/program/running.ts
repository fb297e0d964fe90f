/** Commands that make containers and start them. */
import type { Command } from 'commander';
import { collect, does } from './define.js';
import { containerFlags } from './run-flags.js';

const GROUP = 'Run:';
const ROOTFS = '\nWithout an image: hawser run [--name ID] --rootfs DIR COMMAND [ARG...]';

/** What is made can be said to be attached to, as with docker, before anybody starts it. */
function attaching(command: Command): Command {
  return command.option('-a, --attach <stream>', 'stdin, stdout or stderr, instead of all of them', collect);
}

export function runningCommands(top: Command): void {
  const run = top
    .command('run')
    .helpGroup(GROUP)
    .description('Make a container and run it')
    .usage('[OPTIONS] IMAGE [COMMAND] [ARG...]')
    .argument('[image]', 'image, unless there is --rootfs')
    .argument('[command...]', 'what to run')
    .passThroughOptions()
    .option('-d, --detach', 'leave it running, and print its id');
  does(
    containerFlags(attaching(run))
      .option('--detach-keys <keys>', 'what to type to leave it running (ctrl-p,ctrl-q)')
      .option('--no-sig-proxy', 'keep signals to yourself')
      .addHelpText('after', ROOTFS),
    async (args, options, globals) => {
      const { runCommand } = await import('../commands/run.js');
      await runCommand(wordsOf(args), options, globals);
    },
  );

  const create = top
    .command('create')
    .helpGroup(GROUP)
    .description('Make a container, to be started later')
    .usage('[OPTIONS] IMAGE [COMMAND] [ARG...]')
    .argument('[image]', 'image, unless there is --rootfs')
    .argument('[command...]', 'what to run')
    .passThroughOptions();
  does(containerFlags(attaching(create)).addHelpText('after', ROOTFS), async (args, options, globals) => {
    const { createCommand } = await import('../commands/create.js');
    await createCommand(wordsOf(args), options, globals);
  });

  does(
    top
      .command('start')
      .helpGroup(GROUP)
      .description('Start containers that have been made, or have ended')
      .argument('<container...>', 'containers')
      .option('-a, --attach', 'show the output, and end as the container does')
      .option('-i, --interactive', 'pass on standard input; with --attach')
      .option('--detach-keys <keys>', 'what to type to leave it running (ctrl-p,ctrl-q)')
      .option('--checkpoint <dir>', 'from what `hawser checkpoint` has written'),
    async (args, options, globals) => {
      const { startCommand } = await import('../commands/start.js');
      await startCommand(args[0] as string[], options, globals);
    },
  );

  does(
    top
      .command('exec')
      .helpGroup(GROUP)
      .description('Run another process in a container')
      .usage('[OPTIONS] CONTAINER COMMAND [ARG...]')
      .argument('<container>', 'container')
      .argument('<command...>', 'what to run')
      .passThroughOptions()
      .option('-d, --detach', 'leave it running')
      .option('-i, --interactive', 'keep standard input open')
      .option('-t, --tty', 'give it a terminal')
      .option('-e, --env <name=value>', 'environment', collect)
      .option('--env-file <file>', 'environment from a file', collect)
      .option('-w, --workdir <dir>', 'working directory')
      .option('-u, --user <user[:group]>', 'who it runs as')
      .option('--privileged', 'all capabilities')
      .option('--detach-keys <keys>', 'what to type to leave it running (ctrl-p,ctrl-q)'),
    async (args, options, globals) => {
      const { execCommand } = await import('../commands/exec.js');
      await execCommand(args[0] as string, args[1] as string[], options, globals);
    },
  );

  does(
    top
      .command('attach')
      .helpGroup(GROUP)
      .description('Show what a running container prints, and type to it')
      .argument('<container>', 'container')
      .option('--detach-keys <keys>', 'what to type to leave it running (ctrl-p,ctrl-q)')
      .option('--no-stdin', 'only look')
      .option('--no-sig-proxy', 'keep signals to yourself'),
    async (args, options, globals) => {
      const { attachCommand } = await import('../commands/attach.js');
      await attachCommand(args[0] as string, options, globals);
    },
  );

  const trace = top
    .command('trace')
    .helpGroup(GROUP)
    .description("Run a container, and show where its start's milliseconds went")
    .usage('[OPTIONS] IMAGE [COMMAND] [ARG...]')
    .argument('[image]', 'image, unless there is --rootfs')
    .argument('[command...]', 'what to run')
    .passThroughOptions();
  does(
    containerFlags(trace)
      .option(
        '-o, --output <file>',
        'write it to a file, too: .json for chrome://tracing and Perfetto, .svg for a picture',
        collect,
      )
      .option('--format <form>', 'json: the spans, one for each line')
      .addHelpText('after', `${ROOTFS.replace(' run ', ' trace ')}\nThe container is removed afterwards.`),
    async (args, options, globals) => {
      const { traceCommand } = await import('../commands/trace.js');
      await traceCommand(wordsOf(args), options, globals);
    },
  );

  does(
    top
      .command('checkpoint')
      .helpGroup(GROUP)
      .description('Write a running container to a directory, and end it')
      .argument('<container>', 'container')
      .option('--image-path <dir>', "where to (the container's own directory)")
      .option('--leave-running', 'let it go on')
      .option('--tcp-established', 'with open TCP connections')
      .option('--ext-unix-sk', 'with unix sockets to others')
      .option('--file-locks', 'with file locks'),
    async (args, options, globals) => {
      const { checkpointCommand } = await import('../commands/checkpoint.js');
      await checkpointCommand(args[0] as string, options, globals);
    },
  );
  does(
    top
      .command('restore')
      .helpGroup(GROUP)
      .description('Have a container go on from where it was written')
      .argument('<container>', 'container')
      .option('--image-path <dir>', "where from (the container's own directory)"),
    async (args, options, globals) => {
      const { restoreCommand } = await import('../commands/checkpoint.js');
      await restoreCommand(args[0] as string, options, globals);
    },
  );
}

/** Image and command in one list; commander knows the first word apart. */
function wordsOf(args: readonly unknown[]): string[] {
  const [first, rest] = args as [string | undefined, string[] | undefined];
  return [...(first === undefined ? [] : [first]), ...(rest ?? [])];
}
