/** docker's credential helpers: programs called docker-credential-NAME (docker-credential-helpers' protocol). */
import { spawn } from 'node:child_process';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import type { Credentials } from './types.js';

/** The user's name that stands before an identity token. */
const TOKEN = '<token>';
const NOT_FOUND = 'credentials not found in native keychain';

/** What a helper has for a server; undefined for nothing. @throws InvalidArgumentError when it fails */
export async function askHelper(name: string, server: string): Promise<Credentials | undefined> {
  const { status, output } = await call(name, 'get', server);
  if (status !== 0) {
    if (output.includes(NOT_FOUND)) return undefined;
    throw failed(name, 'get', output);
  }
  let answer: { Username?: string; Secret?: string };
  try {
    answer = JSON.parse(output) as typeof answer;
  } catch (error) {
    throw failed(name, 'get', `its answer is no JSON: ${(error as Error).message}`);
  }
  const { Username: username = '', Secret: secret = '' } = answer;
  if (username === '' && secret === '') return undefined;
  return username === TOKEN ? { identityToken: secret } : { username, password: secret };
}

/** Has a helper keep credentials. */
export async function storeWithHelper(name: string, server: string, credentials: Credentials): Promise<void> {
  if ('registryToken' in credentials) throw failed(name, 'store', 'it cannot keep a token for the registry itself');
  const [username, secret] =
    'identityToken' in credentials ? [TOKEN, credentials.identityToken] : [credentials.username, credentials.password];
  const { status, output } = await call(
    name,
    'store',
    JSON.stringify({ ServerURL: server, Username: username, Secret: secret }),
  );
  if (status !== 0) throw failed(name, 'store', output);
}

/** Has a helper forget them. */
export async function eraseWithHelper(name: string, server: string): Promise<void> {
  const { status, output } = await call(name, 'erase', server);
  if (status !== 0 && !output.includes(NOT_FOUND)) throw failed(name, 'erase', output);
}

function call(name: string, verb: string, input: string): Promise<{ status: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(`docker-credential-${name}`, [verb], { stdio: ['pipe', 'pipe', 'pipe'] });
    const [chunks, complaints]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => complaints.push(chunk));
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(failed(name, verb, error.code === 'ENOENT' ? 'there is no such program in PATH' : error.message, error)),
    );
    child.once('close', (status) => {
      // Why it fails, some say to one and some to the other.
      const said = status === 0 ? chunks : [...chunks, ...complaints];
      resolve({ status: status ?? 1, output: Buffer.concat(said).toString().trim() });
    });
    // One that has ended without reading has said why.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

function failed(name: string, verb: string, reason: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    Code.InvalidArgument,
    `docker's config.json names the credential helper ${name}, but docker-credential-${name} ${verb} fails: ${reason}: invalid argument`,
    { cause },
  );
}
