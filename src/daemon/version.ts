/** Set when the daemon is bundled. */
declare const HAWSER_VERSION: string | undefined;
declare const HAWSER_REVISION: string | undefined;

export const VERSION = typeof HAWSER_VERSION === 'string' ? HAWSER_VERSION : '0.0.0-dev';
export const REVISION = typeof HAWSER_REVISION === 'string' ? HAWSER_REVISION : '';

/** In containerd's form, which dockerd and scripts take apart: program, package, version, revision. */
export const VERSION_LINE = `hawserd hawser ${VERSION} ${REVISION}`;
