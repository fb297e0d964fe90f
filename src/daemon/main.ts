/** hawserd: from the command line to the daemon. What only some of its commands need is loaded by them. */
import { parseFlags, USAGE, UsageError, type Invocation } from './flags.js';
import { VERSION_LINE } from './version.js';

async function main(args: readonly string[]): Promise<void> {
  const invocation = parseFlags(args);
  switch (invocation.command) {
    case 'help':
      return print(USAGE);
    case 'version':
      return print(`${VERSION_LINE}\n`);
    case 'run':
      return (await import('./run.js')).run(await configOf(invocation));
    case 'publish':
      return publish(invocation);
    case 'oci-hook':
      return (await import('./hook/index.js')).runHook(invocation.hook!);
    case 'config default':
      return print((await import('./config/print.js')).defaultConfig());
    case 'config dump':
      return print((await import('./config/print.js')).dumpConfig(await configOf(invocation)));
    case 'config migrate':
      return print(await migrate(await configOf(invocation)));
    case 'config check':
      return print(await check(await configOf(invocation)));
  }
}

function print(text: string): void {
  process.stdout.write(text);
}

async function configOf({ config, overrides }: Invocation) {
  const { findConfig, loadConfig } = await import('./config/index.js');
  return loadConfig(config ?? findConfig(), overrides);
}

async function check(config: Awaited<ReturnType<typeof configOf>>): Promise<string> {
  const [{ checkSections }, { stockPlugins }] = await Promise.all([import('./check.js'), import('./plugins.js')]);
  checkSections(config, stockPlugins);
  return `${config.files.join(', ') || 'the defaults'}: good\n`;
}

async function migrate(config: Awaited<ReturnType<typeof configOf>>): Promise<string> {
  const [{ migrateConfig }, { checkSections }, { stockPlugins }] = await Promise.all([
    import('./config/print.js'),
    import('./check.js'),
    import('./plugins.js'),
  ]);
  checkSections(config, stockPlugins);
  return migrateConfig(config, stockPlugins);
}

/** Shims are told the daemon's socket for events by their environment. */
async function publish(invocation: Invocation): Promise<void> {
  const {
    overrides: { address },
    event,
  } = invocation;
  const socket =
    process.env.TTRPC_ADDRESS ||
    (address === undefined ? (await configOf(invocation)).ttrpc.address : `${address}.ttrpc`);
  const [{ publishEvent }, { buffer }] = await Promise.all([import('./publish.js'), import('node:stream/consumers')]);
  await publishEvent(socket, event!, await buffer(process.stdin));
}

/** One line for what can be put right by whoever started it; all there is for a defect. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof UsageError) return `${error.message}\nTry hawserd --help`;
  return error instanceof TypeError || error instanceof ReferenceError ? (error.stack ?? error.message) : error.message;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`hawserd: ${explain(error)}\n`);
  process.exit(1);
});
