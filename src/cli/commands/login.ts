/** hawser login and logout: docker's config.json, so that one login serves both. */
import { CliError, oneLine, textOf, UsageError } from '../errors.js';
import { ask } from '../terminal/ask.js';
import { interruptible } from '../terminal/interrupt.js';

export interface LoginFlags {
  readonly username?: string;
  readonly password?: string;
  readonly passwordStdin?: boolean;
  readonly hostsDir?: string;
}

export async function loginCommand(server: string | undefined, flags: LoginFlags): Promise<void> {
  const { login, registryDomain } = await import('../../client/registry/login.js');
  const domain = registryDomain(server);
  const { username, password } = await credentials(domain, flags);
  let stored;
  try {
    stored = await interruptible((signal) =>
      login(domain, { username, password }, { hostsDir: flags.hostsDir, signal }),
    );
  } catch (error) {
    if (!(error instanceof Error) || error.name === 'Exit') throw error;
    const { UnauthenticatedError } = await import('../../client/index.js');
    const why =
      error instanceof UnauthenticatedError
        ? `it does not take this name and password; where there are access tokens, one has to stand in the password's place`
        : oneLine(textOf(error));
    throw new CliError(`login to ${domain} as ${username} fails: ${why}`, 1, { cause: error });
  }
  if (stored.helper === undefined)
    process.stderr.write(
      `hawser: the password is kept as it is in ${stored.path}: name a credential helper as "credsStore" there to have it kept elsewhere\n`,
    );
  process.stdout.write('Login Succeeded\n');
}

async function credentials(
  domain: string,
  { username, password, passwordStdin = false }: LoginFlags,
): Promise<{ username: string; password: string }> {
  if (passwordStdin && password !== undefined)
    throw new UsageError('--password and --password-stdin are two passwords: give one', 'login');
  if (passwordStdin && username === undefined)
    throw new UsageError('--password-stdin: give the name with --username', 'login');
  if (password !== undefined && username === undefined)
    throw new UsageError('--password: give the name with --username', 'login');
  if (passwordStdin) return { username: username!, password: await lastLineOff(process.stdin) };
  if ((username === undefined || password === undefined) && !process.stdin.isTTY)
    throw new UsageError(
      'standard input is no terminal to ask at: give --username, and the password to --password-stdin',
      'login',
    );
  const name = username ?? (await ask(`Username for ${domain}: `));
  const secret = password ?? (await ask('Password: ', true));
  if (name === '' || secret === '')
    throw new CliError(`login to ${domain}: the name and the password must not be empty`);
  return { username: name, password: secret };
}

async function lastLineOff(input: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of input) chunks.push(Buffer.from(chunk as Uint8Array));
  const text = Buffer.concat(chunks)
    .toString()
    .replace(/\r?\n$/, '');
  if (text === '') throw new CliError('--password-stdin: standard input is empty');
  return text;
}

export async function logoutCommand(server: string | undefined): Promise<void> {
  const { logout, registryDomain } = await import('../../client/registry/login.js');
  const domain = registryDomain(server);
  process.stdout.write(
    (await logout(domain)) ? `Removing login credentials for ${domain}\n` : `Not logged in to ${domain}\n`,
  );
}
