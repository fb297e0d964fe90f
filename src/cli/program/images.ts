/** Commands for images. */
import type { Command } from 'commander';
import { collect, does } from './define.js';

const GROUP = 'Images:';
const UNTIL = 'until=24h: built so long ago; label=NAME[=VALUE], label!=NAME[=VALUE]';
const HOSTS = "a directory as containerd's certs.d (/etc/containerd/certs.d)";

export function imageCommands(top: Command): void {
  registryCommands(top);
  const images = top
    .command('images')
    .helpGroup(GROUP)
    .description('List images; import, inspect, ls, prune and rm are below it')
    .alias('image')
    .enablePositionalOptions();
  const listFlags = (command: Command): Command =>
    command
      .option('-a, --all', 'all of them, which are shown anyway')
      .option('-q, --quiet', 'digests alone')
      .option('--no-trunc', 'cut nothing')
      .option('--digests', 'with digests')
      .option('-f, --filter <filter>', "containerd's filters, such as name~=busybox", collect)
      .option('--format <form>', 'table, json, or a template such as {{.Repository}}');
  const list = async (
    _args: unknown[],
    options: Record<string, unknown>,
    globals: Parameters<Parameters<typeof does>[1]>[2],
  ): Promise<void> => {
    const { imagesCommand } = await import('../commands/images.js');
    await imagesCommand(options, globals);
  };
  does(listFlags(images), list);
  does(listFlags(images.command('ls').alias('list').description('List images')), list);
  does(
    images
      .command('import')
      .alias('load')
      .description('Take images in from an archive: an OCI layout, or what `docker save` writes')
      .argument('<archive>', 'file, or - for standard input')
      .option('--name <name>', "a name instead of the archive's own")
      .option('--no-unpack', 'only store it')
      .option('--snapshotter <name>', 'where to unpack it (overlayfs)')
      .option('-q, --quiet', 'no progress'),
    async (args, options, globals) => {
      const { importCommand } = await import('../commands/images.js');
      await importCommand(args[0] as string, options, globals);
    },
  );
  does(
    images
      .command('inspect')
      .description('Show all that is known of images')
      .argument('<image...>', 'images')
      .option('-f, --format <form>', 'json, or a template such as {{.Config.Cmd}}')
      .option('--platform <platform>', "of an image for several, which (this machine's)"),
    async (args, options, globals) => {
      const { inspectImagesCommand } = await import('../commands/inspect-image.js');
      await inspectImagesCommand(args[0] as string[], options, globals);
    },
  );
  removal(images.command('rm'));
  does(
    images
      .command('prune')
      .description('Remove images without a tag that no container was made from, and what broken-off pulls have left')
      .option('-a, --all', 'those with a tag, too')
      .option('-f, --force', 'without asking')
      .option('--filter <name=value>', UNTIL, collect),
    async (_args, options, globals) => {
      const { pruneImagesCommand } = await import('../commands/images-more.js');
      await pruneImagesCommand(options, globals);
    },
  );
  // As docker, by itself and below `image`.
  for (const parent of [top, images]) {
    const grouped = (name: string): Command =>
      parent === top ? top.command(name).helpGroup(GROUP) : images.command(name, { hidden: true });
    archives(grouped);
    describing(grouped);
    transfers(grouped);
  }
  removal(top.command('rmi').helpGroup(GROUP));
}

type Make = (name: string) => Command;

function removal(command: Command): void {
  does(
    command
      .description('Remove images')
      .argument('<image...>', 'images')
      .option('-f, --force', 'it is no error when there are none'),
    async (args, options, globals) => {
      const { removeImagesCommand } = await import('../commands/images.js');
      await removeImagesCommand(args[0] as string[], options, globals);
    },
  );
}

function archives(command: Make): void {
  does(
    command('save')
      .description('Write images to an archive that `hawser load`, `docker load` and `ctr images import` take')
      .argument('<image...>', 'images')
      .option('-o, --output <file>', 'where to (standard output)')
      .option('--platform <platform>', "of an image for several, which (this machine's)"),
    async (args, options, globals) => {
      const { saveCommand } = await import('../commands/images-more.js');
      await saveCommand(args[0] as string[], options, globals);
    },
  );
}

function describing(command: Make): void {
  does(
    command('tag')
      .description('Give an image one more name')
      .argument('<image>', 'image')
      .argument('<name>', 'the name'),
    async (args, _options, globals) => {
      const { tagCommand } = await import('../commands/images-more.js');
      await tagCommand(args[0] as string, args[1] as string, globals);
    },
  );
  does(
    command('history')
      .description('Show how the layers of an image were made')
      .argument('<image>', 'image')
      .option('-q, --quiet', 'digests alone')
      .option('--no-human', 'sizes in bytes, and times as they are')
      .option('--no-trunc', 'cut nothing')
      .option('--format <form>', 'table, json, or a template such as {{.CreatedBy}}'),
    async (args, options, globals) => {
      const { historyCommand } = await import('../commands/images-more.js');
      await historyCommand(args[0] as string, options, globals);
    },
  );
}

function transfers(command: Make): void {
  does(
    command('pull')
      .description('Fetch an image from its registry')
      .argument('<reference>', 'its name, such as busybox or ghcr.io/some/thing:v1')
      .option('-q, --quiet', 'no progress')
      .option('--platform <platform>', "for another machine, such as linux/arm64 (this machine's)")
      .option('--no-unpack', 'only store it')
      .option('--snapshotter <name>', 'where to unpack it (overlayfs)')
      .option('--hosts-dir <dir>', HOSTS),
    async (args, options, globals) => {
      const { pullCommand } = await import('../commands/pull.js');
      await pullCommand(args[0] as string, options, globals);
    },
  );
  does(
    command('push')
      .description('Send an image to the registry of its name')
      .argument('<image>', 'image')
      .option('-q, --quiet', 'no progress')
      .option('--platform <platform>', 'only what it has for this one, such as linux/arm64')
      .option('--hosts-dir <dir>', HOSTS),
    async (args, options, globals) => {
      const { pushCommand } = await import('../commands/push.js');
      await pushCommand(args[0] as string, options, globals);
    },
  );
}

function registryCommands(top: Command): void {
  const command = (name: string, description: string): Command =>
    top.command(name).helpGroup(GROUP).description(description);
  does(
    command('load', 'Take images in from an archive, as `hawser images import` does')
      .option('-i, --input <file>', 'the archive (standard input)')
      .option('-q, --quiet', 'no progress'),
    async (_args, options, globals) => {
      const { loadCommand } = await import('../commands/images-more.js');
      await loadCommand(options, globals);
    },
  );
  does(
    command('import', "Make an image of a root file system's tar archive; `images import` takes archives of images")
      .argument('<archive>', 'file, or - for standard input')
      .argument('[name]', 'what the image is called, such as mine:1')
      .option('-c, --change <instruction>', "of a Dockerfile, such as 'CMD [\"sh\"]', 'ENV A=b'", collect)
      .option('-m, --message <text>', 'for its history')
      .option('--platform <platform>', "what it is for, such as linux/arm64 (this machine's)"),
    async (args, options, globals) => {
      const { importRootCommand } = await import('../commands/import.js');
      await importRootCommand(args[0] as string, args[1] as string | undefined, options, globals);
    },
  );
  command('login', 'Log in to a registry, as docker does')
    .argument('[server]', 'its host (docker.io)')
    .option('-u, --username <name>', 'who you are')
    .option('-p, --password <password>', 'seen by all who list processes: better type it, or use --password-stdin')
    .option('--password-stdin', 'the password is on standard input')
    .option('--hosts-dir <dir>', HOSTS)
    .action(async (server: string | undefined, options: Record<string, unknown>) => {
      const { loginCommand } = await import('../commands/login.js');
      await loginCommand(server, options);
    });
  command('logout', 'Forget the login to a registry')
    .argument('[server]', 'its host (docker.io)')
    .action(async (server: string | undefined) => {
      const { logoutCommand } = await import('../commands/login.js');
      await logoutCommand(server);
    });
}
