/** Commands about the daemon, and about hawser itself. */
import type { Command } from 'commander';
import { collect, does } from './define.js';

const GROUP = 'System:';
const FORMAT = 'json, or a template such as';

export function systemCommands(top: Command): void {
  const command = (name: string, description: string): Command =>
    top.command(name).helpGroup(GROUP).description(description);
  does(
    command('events', 'Show what happens, as it happens')
      .option(
        '-f, --filter <name=value>',
        "container, event, type, image, label, or one of containerd's such as topic~=/tasks/",
        collect,
      )
      .option(
        '--since <time>',
        'first those that the daemon still has: 2024-05-01T10:00:00Z, or how long ago, such as 10m',
      )
      .option('--until <time>', 'those of then or earlier')
      .option('--all-namespaces', 'of all namespaces')
      .option('--format <form>', `${FORMAT} {{.Topic}}`),
    async (_args, options, globals) => {
      const { eventsCommand } = await import('../commands/events.js');
      await eventsCommand(options, globals);
    },
  );
  does(
    command('runtimes', 'List the runtimes that containers can have').option(
      '--format <form>',
      `table, ${FORMAT} {{.Name}}`,
    ),
    async (_args, options, globals) => {
      const { runtimesCommand } = await import('../commands/runtimes.js');
      await runtimesCommand(options, globals);
    },
  );
  does(
    command('plugins', "List the daemon's plugins")
      .alias('plugin')
      .option('--format <form>', `table, ${FORMAT} {{.ID}}`),
    async (_args, options, globals) => {
      const { pluginsCommand } = await import('../commands/plugins.js');
      await pluginsCommand(options, globals);
    },
  );
  does(
    command('info', 'Describe the daemon and the machine').option('-f, --format <form>', `${FORMAT} {{.Containers}}`),
    async (_args, options, globals) => {
      const { infoCommand } = await import('../commands/info.js');
      await infoCommand(options, globals);
    },
  );
  does(
    command('version', 'Print the versions of hawser and of the daemon').option(
      '-f, --format <form>',
      `${FORMAT} {{.Server.Version}}`,
    ),
    async (_args, options, globals) => {
      const { versionCommand } = await import('../commands/info.js');
      await versionCommand(options, globals);
    },
  );
  command('completion', "Print what a shell needs to complete hawser's commands")
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText(
      'after',
      '\nbash: source <(hawser completion bash)\nzsh:  source <(hawser completion zsh)\nfish: hawser completion fish | source',
    )
    .action(async (shell: string) => {
      const { completionScript } = await import('../completion/scripts.js');
      process.stdout.write(completionScript(shell));
    });
  does(top.command('__reap', { hidden: true }).argument('<container>'), async (args, _options, globals) => {
    const { reapCommand } = await import('../commands/remove.js');
    await reapCommand(args[0] as string, globals);
  });
  // What those scripts ask: the words so far, the last of which is being typed.
  top
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (words: string[]) => {
      const { complete } = await import('../completion/complete.js');
      process.stdout.write((await complete(top, words)).map(({ word, help }) => `${word}\t${help}\n`).join(''));
    });
}
