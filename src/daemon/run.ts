/** The daemon as a process: its log, its signals, its service manager. */
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { setName } from '../sys/index.js';
import type { Config } from './config/index.js';
import { Daemon } from './daemon.js';
import { makeLog } from './log.js';
import { ServiceManager } from './notify.js';
import { stockPlugins } from './plugins.js';
import { ownShim } from './shim-path.js';

/** An orderly end takes no longer than this; dockerd kills after 15 s. */
const END_MS = 10_000;

/** Runs until a signal ends it. Rejects when the daemon cannot start. */
export async function run(config: Config): Promise<void> {
  const log = await makeLog(config.debug.level, config.debug.format);
  setName('hawserd');
  const manager = new ServiceManager(process.env, (err) => log.warn({ err }, 'cannot tell the service manager'));
  // It leaves one request's work undone, which is no reason to leave all others alone.
  process.on('unhandledRejection', (err) => log.error({ err }, 'defect: a failure that nobody has waited for'));
  // It may have come in the middle of a change to what all requests share: a new daemon loses nothing, this one might.
  process.on('uncaughtException', (err) => {
    log.fatal(
      { err },
      'defect: a failure outside of any call has left hawserd in an unknown state; it ends with exit status 1, and containers live on',
    );
    process.exit(1);
  });
  const starting = Daemon.start({
    config,
    log,
    shim: ownShim(fileURLToPath(new URL('.', import.meta.url))),
    plugins: stockPlugins,
  });
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
    await starting.then(
      (daemon) => daemon.stop(),
      () => undefined,
    );
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end(signal));
}
