/** Set when the command line is bundled. */
declare const HAWSER_VERSION: string | undefined;

/** The command line's own version, as `hawser --version` and `hawser version` print it. */
export const VERSION = typeof HAWSER_VERSION === 'string' ? HAWSER_VERSION : '0.0.0-source';
