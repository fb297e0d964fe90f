/** Names of runtimes, and the files that go with them. */
import { UsageError } from '../errors.js';

/** As RuntimeClass has its handler: a DNS label. */
const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** @throws UsageError for what is no name, and for containerd's and docker's own runtime */
export function checkName(name: string): void {
  if (!NAME.test(name))
    throw new UsageError(
      `--runtime-class ${JSON.stringify(name)} is no name: it takes small letters, digits and hyphens, as a RuntimeClass does`,
    );
  if (name === 'runc') throw new UsageError("--runtime-class runc is the daemon's own: choose another name");
}

/** The shim's options for a daemon's runtime, as TOML; also what marks a runtime of docker's as ours. */
export function optionsFile(daemon: 'containerd' | 'docker', name: string): string {
  return `${OPTIONS_DIRECTORY}/${daemon}-${name}.toml`;
}

export const OPTIONS_DIRECTORY = '/etc/hawser';

/** What optionsFile() has made. */
export function parseOptionsFile(path: string): { daemon: string; name: string } | undefined {
  const [, daemon, name] = /^\/etc\/hawser\/(containerd|docker)-(.+)\.toml$/.exec(path) ?? [];
  return daemon === undefined || name === undefined ? undefined : { daemon, name };
}
