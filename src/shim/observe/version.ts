/** Set when the shim is bundled. */
declare const HAWSER_VERSION: string | undefined;
declare const HAWSER_REVISION: string | undefined;

export const VERSION = typeof HAWSER_VERSION === 'string' ? HAWSER_VERSION : 'dev';
export const REVISION = typeof HAWSER_REVISION === 'string' ? HAWSER_REVISION : 'unknown';
/** Tells one build from another. */
export const BUILD = `${VERSION} ${REVISION}`;
