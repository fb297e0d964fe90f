/** hawserd: from the command line to the daemon, and from signals to its end. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { setName } from '../sys/index.js';
import { ConfigError, DEFAULT_FILE, loadConfig } from './config/index.js';
import { defaultConfig, dumpConfig } from './config/print.js';
import { Daemon } from './daemon.js';
import { parseFlags, USAGE, UsageError, type Invocation } from './flags.js';
import { makeLog } from './log.js';
import { ServiceManager } from './notify.js';
import { stockPlugins } from './plugins.js';
import { ownShim } from './shim-path.js';
import { VERSION_LINE } from './version.js';

/** An orderly end takes no longer than this; dockerd kills after 15 s. */
const END_MS = 10_000;

async function main(args: readonly string[]): Promise<void> {
  const invocation = parseFlags(args);
  switch (invocation.command) {
    case 'help': return print(USAGE);
    case 'version': return print(`${VERSION_LINE}\n`);
    case 'config default': return print(defaultConfig());
    case 'config dump': return print(dumpConfig(configOf(invocation)));
    case 'config check': return print(`${configOf(invocation).files.join(', ') || 'the defaults'}: good\n`);
    case 'run': return run(invocation);
  }
}

function print(text: string): void {
  process.stdout.write(text);
}

function configOf({ config, overrides }: Invocation): ReturnType<typeof loadConfig> {
  return loadConfig(config ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined), overrides);
}

async function run(invocation: Invocation): Promise<void> {
  const config = configOf(invocation);
  const log = await makeLog(config.debug.level, config.debug.format);
  setName('hawserd');
  const manager = new ServiceManager(process.env, (err) => log.warn({ err }, 'cannot tell the service manager'));
  process.on('unhandledRejection', (err) => log.error({ err }, 'defect: a failure that nobody has waited for'));
  process.on('uncaughtException', (err) => log.error({ err }, 'defect: a failure outside of any call'));
  const starting = Daemon.start({ config, log, shim: ownShim(fileURLToPath(new URL('.', import.meta.url))), plugins: stockPlugins });
  endOnSignals(starting, manager, log);
  const daemon = await starting;
  process.on('SIGUSR1', () => log.info({ state: daemon.state() }, 'state of the daemon'));
  manager.ready();
}

function endOnSignals(starting: Promise<Daemon>, manager: ServiceManager, log: Logger): void {
  let ending = false;
  const end = async (signal: string): Promise<void> => {
    if (ending) return;
    ending = true;
    log.info({ signal }, 'hawserd ends; containers live on');
    manager.stopping();
    setTimeout(() => {
      log.warn({ ms: END_MS }, 'the end has taken too long');
      process.exit(0);
    }, END_MS).unref();
    await starting.then((daemon) => daemon.stop(), () => undefined);
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end(signal));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  // One line for what can be put right by whoever started it; all there is for a defect.
  const known = error instanceof UsageError || error instanceof ConfigError || (error instanceof Error && !(error instanceof TypeError || error instanceof ReferenceError));
  process.stderr.write(`hawserd: ${known ? error.message : error instanceof Error ? error.stack : String(error)}${error instanceof UsageError ? '\nTry hawserd --help' : ''}\n`);
  process.exit(1);
});
