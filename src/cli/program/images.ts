/** Commands for images. */
import type { Command } from 'commander';
import { collect, does } from './define.js';

const GROUP = 'Images:';
const HOSTS = "a directory as containerd's certs.d (/etc/containerd/certs.d)";

export function imageCommands(top: Command): void {
  registryCommands(top);
  const images = top
    .command('images')
    .helpGroup(GROUP)
    .description('List images; import, ls and rm are below it')
    .enablePositionalOptions();
  const listFlags = (command: Command): Command =>
    command
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
    const { imagesCommand } = await import('../commands/index.js');
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
      const { importCommand } = await import('../commands/index.js');
      await importCommand(args[0] as string, options, globals);
    },
  );
  does(
    images
      .command('rm')
      .description('Remove images')
      .argument('<image...>', 'images')
      .option('-f, --force', 'it is no error when there are none'),
    async (args, options, globals) => {
      const { removeImagesCommand } = await import('../commands/index.js');
      await removeImagesCommand(args[0] as string[], options, globals);
    },
  );
}

function registryCommands(top: Command): void {
  const command = (name: string, description: string): Command =>
    top.command(name).helpGroup(GROUP).description(description);
  does(
    command('pull', 'Fetch an image from its registry')
      .argument('<reference>', 'its name, such as busybox or ghcr.io/some/thing:v1')
      .option('-q, --quiet', 'no progress')
      .option('--platform <platform>', "for another machine, such as linux/arm64 (this machine's)")
      .option('--no-unpack', 'only store it')
      .option('--snapshotter <name>', 'where to unpack it (overlayfs)')
      .option('--hosts-dir <dir>', HOSTS),
    async (args, options, globals) => {
      const { pullCommand } = await import('../commands/index.js');
      await pullCommand(args[0] as string, options, globals);
    },
  );
  command('login', 'Log in to a registry, as docker does')
    .argument('[server]', 'its host (docker.io)')
    .option('-u, --username <name>', 'who you are')
    .option('-p, --password <password>', 'seen by all who list processes: better type it, or use --password-stdin')
    .option('--password-stdin', 'the password is on standard input')
    .option('--hosts-dir <dir>', HOSTS)
    .action(async (server: string | undefined, options: Record<string, unknown>) => {
      const { loginCommand } = await import('../commands/index.js');
      await loginCommand(server, options);
    });
  command('logout', 'Forget the login to a registry')
    .argument('[server]', 'its host (docker.io)')
    .action(async (server: string | undefined) => {
      const { logoutCommand } = await import('../commands/index.js');
      await logoutCommand(server);
    });
}
