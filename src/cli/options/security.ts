/** --security-opt, as docker takes it. */
import { readFileSync } from 'node:fs';
import type { SpecOptions } from '../../client/index.js';
import { CliError, FAILED, UsageError } from '../errors.js';

export type SecurityOptions = Pick<SpecOptions, 'seccomp' | 'apparmor' | 'noNewPrivileges' | 'systemPaths'>;

const THERE_ARE =
  'there are seccomp=unconfined|builtin|FILE, apparmor=PROFILE, no-new-privileges[=false], systempaths=unconfined';

/**
 * Of several for one thing the last one holds. Programs may gain privileges unless it is said that they may not: docker's default, by
 * which su and sudo work.
 */
export function securityOptions(texts: readonly string[] = []): SecurityOptions {
  return texts.reduce<SecurityOptions>((all, text) => ({ ...all, ...one(text) }), { noNewPrivileges: false });
}

function one(text: string): SecurityOptions {
  // The colon is what docker had before, and still takes.
  const [, name, value] = /^([^=:]*)(?:[=:](.*))?$/s.exec(text) ?? [];
  if (name === 'no-new-privileges') return { noNewPrivileges: bool(text, value) };
  if (name === 'seccomp' && value) return { seccomp: seccomp(value) };
  if (name === 'apparmor' && value) return { apparmor: value };
  if (name === 'systempaths' && value === 'unconfined') return { systemPaths: value };
  if (name === 'label') {
    if (value === 'disable') return {};
    throw new UsageError(
      `--security-opt ${JSON.stringify(text)}: there are no SELinux labels but \`disable\`; a container's are its spec's (hawser/client), or nerdctl's`,
    );
  }
  throw new UsageError(`--security-opt ${JSON.stringify(text)}: ${THERE_ARE}`);
}

function bool(text: string, value = 'true'): boolean {
  // As Go reads them.
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw new UsageError(`--security-opt ${JSON.stringify(text)}: it is true or false`);
}

function seccomp(value: string): NonNullable<SpecOptions['seccomp']> {
  if (value === 'unconfined') return value;
  if (value === 'builtin') return 'default';
  let text: string;
  try {
    text = readFileSync(value, 'utf8');
  } catch (error) {
    throw new CliError(
      `--security-opt seccomp=${value}: the profile cannot be read: ${(error as Error).message}; give a file in docker's format, \`unconfined\`, or \`builtin\``,
      FAILED,
      { cause: error },
    );
  }
  try {
    const profile: unknown = JSON.parse(text);
    if (typeof profile !== 'object' || profile === null || Array.isArray(profile)) throw new Error('it is no object');
    return profile;
  } catch (error) {
    throw new CliError(
      `--security-opt seccomp=${value}: the file is no profile in docker's format: ${(error as Error).message}`,
      FAILED,
      { cause: error },
    );
  }
}
