/** Runs a plugin of the standard (CNI specification, section 2). */
import { spawn } from 'node:child_process';
import { findIn, programPath, type Places } from '../places.js';
import { codeOf, precondition } from '../failure.js';
import { isObject } from './config.js';

/** No plugin takes this long; one that does is stuck, and holds up all others. */
const PLUGIN_MS = 120_000;
/** Of the Debian package. */
const STANDARD = new Set([
  'bandwidth',
  'bridge',
  'dhcp',
  'dummy',
  'firewall',
  'host-device',
  'host-local',
  'ipvlan',
  'loopback',
  'macvlan',
  'portmap',
  'ptp',
  'sbr',
  'static',
  'tap',
  'tuning',
  'vlan',
  'vrf',
]);
export const PACKAGE = 'containernetworking-plugins';

/** What a plugin is told besides its configuration. */
export interface Call {
  readonly command: 'ADD' | 'DEL';
  readonly containerId: string;
  /** Path; empty when it is gone, for DEL. */
  readonly netns: string;
  readonly interface: string;
  /** CNI_ARGS: `IP=10.1.0.2`. */
  readonly args: readonly string[];
}

/** The sentence for plugins that are not there. */
export function missingPlugins(types: readonly string[], pluginDirs: readonly string[], network: string): string {
  const several = types.length > 1;
  const names = types.join(', ');
  const step = types.every((type) => STANDARD.has(type))
    ? `install the package ${PACKAGE}, or name their directory with --cni-path or $CNI_PATH; --network none and host need none`
    : `install ${several ? 'them' : 'it'} there, or name ${several ? 'their' : 'its'} directory with --cni-path or $CNI_PATH`;
  return `network ${network} needs the CNI plugin${several ? 's' : ''} ${names}, which ${several ? 'are' : 'is'} not in ${pluginDirs.join(', ')}: ${step}`;
}

/**
 * Runs a plugin to its end.
 *
 * @returns its result; for DEL an empty object
 * @throws Error with what the plugin says
 */
export async function runPlugin(
  { pluginDirs }: Pick<Places, 'pluginDirs'>,
  type: string,
  call: Call,
  config: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  const file = findIn(pluginDirs, type);
  if (file === undefined) throw precondition(missingPlugins([type], pluginDirs, String(config.name)));
  const { code, signal, stdout, stderr } = await run(file, JSON.stringify(config), {
    CNI_COMMAND: call.command,
    CNI_CONTAINERID: call.containerId,
    CNI_NETNS: call.netns,
    CNI_IFNAME: call.interface,
    CNI_ARGS: ['IgnoreUnknown=1', ...call.args].join(';'),
    CNI_PATH: pluginDirs.join(':'),
    PATH: programPath(),
  });
  const answer = parse(stdout);
  if (code !== 0) throw new Error(`plugin ${type} failed (${call.command}): ${reason(answer, stderr, code, signal)}`);
  if (answer === undefined && call.command === 'ADD')
    throw new Error(`plugin ${type} (${file}) prints no result: ${JSON.stringify(stdout.slice(0, 200))}`);
  return answer ?? {};
}

function reason(
  answer: Record<string, unknown> | undefined,
  stderr: string,
  code: number | null,
  signal: string | null,
): string {
  const said = [answer?.msg, answer?.details].filter((text) => typeof text === 'string' && text !== '').join(': ');
  const text = said || stderr.trim().split('\n').slice(-3).join('; ');
  return `${text || `it ended with ${code ?? signal}`}${hint(text)}`;
}

/** What the next step is, for what plugins say about programs that they run. */
function hint(text: string): string {
  if (/failed to locate iptables|executable file not found.*iptables|"ip6?tables".*not found/i.test(text))
    return ': install the package iptables';
  if (/incompatible CNI versions/i.test(text)) return `: install newer plugins (the package ${PACKAGE})`;
  return '';
}

function parse(text: string): Record<string, unknown> | undefined {
  if (text.trim() === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(file: string, input: string, env: Record<string, string>): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [], { env, stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`plugin ${file} has not ended within ${PLUGIN_MS / 1000} s, and was killed`));
    }, PLUGIN_MS);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    // A plugin may end without having read.
    child.stdin.on('error', (error) => {
      if (codeOf(error) !== 'EPIPE') reject(error);
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(new Error(`plugin ${file} cannot be run: ${error.message}`, { cause: error }));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
    child.stdin.end(input);
  });
}
