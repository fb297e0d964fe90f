/** The log: one line of JSON each, or lines for people where a person is looking. */
import { isatty } from 'node:tty';
import { destination, pino, stdTimeFunctions, type Logger } from 'pino';
import type { Format, Level } from './config/index.js';

const STDERR = 2;

/** Pino has no `panic`; with it nothing but what ends the daemon is said. */
const PINO_LEVEL: Readonly<Record<Level, string>> = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  fatal: 'fatal',
  panic: 'fatal',
};

/** @param fd where to; standard error unless given. Lines are written at once, so that the last one before a crash is there. */
export async function makeLog(level: Level, format: Format, fd = STDERR): Promise<Logger> {
  const options = {
    level: PINO_LEVEL[level],
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (format === 'json' || (format === '' && !isatty(fd))) return pino(options, destination({ fd, sync: true }));
  const { default: pretty } = await import('pino-pretty');
  return pino(
    options,
    pretty({
      destination: fd,
      sync: true,
      colorize: isatty(fd),
      translateTime: 'SYS:HH:MM:ss.l',
      singleLine: true,
      ignore: 'pid,hostname',
    }),
  );
}
