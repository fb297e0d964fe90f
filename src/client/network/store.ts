/** The configurations of networks: found, made, removed. All to be called with the lock. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { isObject, parseConfig, readConfigs, subnetsOf, type NetworkConfig } from './cni/config.js';
import { alreadyExists, notFound, precondition, textOf } from './failure.js';
import { checkNetworkName, DEFAULT_NETWORK, fileOf, makeConfig, networkId } from './make-config.js';
import { findIn, programPath, type Places } from './places.js';
import { checkRequirements } from './requirements.js';
import { removeEmpty } from './state.js';
import type { Network, NetworkCreateOptions } from './types.js';

/** Those of the plugin `firewall` that have rules for each bridge, which it does not take back. */
const BRIDGE_CHAINS = ['CNI-ISOLATION-STAGE-1', 'CNI-ISOLATION-STAGE-2'];

export function networkOf(config: NetworkConfig): Network {
  const { name, file, own, plugins, raw } = config;
  return {
    name,
    id: networkId(name),
    driver: plugins[0]!.type,
    file,
    own: own !== undefined,
    labels: own?.labels ?? nerdctlLabels(raw),
    subnets: subnetsOf(config),
    internal: own?.internal === true,
    createdAt: own?.createdAt === undefined ? undefined : new Date(own.createdAt),
    config: raw,
  };
}

function nerdctlLabels({ nerdctlLabels: labels }: Readonly<Record<string, unknown>>): Record<string, string> {
  return isObject(labels)
    ? Object.fromEntries(Object.entries(labels).filter((one): one is [string, string] => typeof one[1] === 'string'))
    : {};
}

/** By name, or the beginning of its id. @throws NotFoundError */
export function findNetwork(places: Places, reference: string): NetworkConfig {
  const damaged: string[] = [];
  const all = readConfigs(places, (file, why) => damaged.push(`; ${file} cannot be read: ${why}`));
  const named = all.find(({ name }) => name === reference);
  if (named !== undefined) return named;
  const meant = /^[0-9a-f]+$/.test(reference) ? all.filter(({ name }) => networkId(name).startsWith(reference)) : [];
  if (meant.length === 1) return meant[0]!;
  throw notFound(
    `network ${reference} is not there: ${places.confDir} has ${all.map(({ name }) => name).join(', ') || 'none'}; \`hawser network create\` makes one${damaged.join('')}`,
  );
}

/** The network of a name, ready to be used; the default one is made. */
export function readyNetwork(places: Places, reference: string): NetworkConfig {
  const all = readConfigs(places);
  const name = reference === 'default' && !all.some((one) => one.name === 'default') ? DEFAULT_NETWORK : reference;
  const isNew = name === DEFAULT_NETWORK && !all.some((one) => one.name === name);
  const config = isNew ? writeNetwork(places, { name }) : findNetwork(places, name);
  checkRequirements(config, places);
  return config;
}

/** @throws AlreadyExistsError, InvalidArgumentError, FailedPreconditionError */
export function writeNetwork(places: Places, options: NetworkCreateOptions): NetworkConfig {
  const { name } = options;
  const { confDir, stateDir } = places;
  checkNetworkName(name);
  const known = readConfigs(places);
  const other = known.find((one) => one.name === name);
  if (other !== undefined) throw alreadyExists(`network ${name} is there already (${other.file})`);
  const text = `${JSON.stringify(makeConfig(options, known, join(stateDir, 'addresses')), undefined, 2)}\n`;
  const file = fileOf(confDir, name);
  const config = parseConfig(text, file);
  checkRequirements(config, places);
  try {
    mkdirSync(confDir, { recursive: true });
    // Whole at once: others read all files that are there.
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  } catch (error) {
    throw precondition(`network ${name} cannot be written to ${file}: ${textOf(error)}`, error);
  }
  return config;
}

/** Removes what Hawser has made: the configuration, the bridge with its rules, and the list of its addresses. */
export async function removeNetwork({ stateDir }: Places, { name, plugins, file }: NetworkConfig): Promise<void> {
  const bridges = plugins.flatMap(({ bridge }) => (typeof bridge === 'string' ? [bridge] : []));
  for (const bridge of bridges) await removeBridge(name, bridge);
  rmSync(join(stateDir, 'addresses', name), { recursive: true, force: true });
  removeEmpty(join(stateDir, 'addresses'));
  rmSync(file, { force: true });
}

async function removeBridge(network: string, bridge: string): Promise<void> {
  const dirs = programPath().split(delimiter);
  const ip = findIn(dirs, 'ip');
  if (ip === undefined)
    throw precondition(
      `network ${network}: its interface ${bridge} cannot be removed, as the program ip is not there: install the package iproute2`,
    );
  const answer = await run(ip, ['link', 'delete', 'dev', bridge, 'type', 'bridge']);
  if (answer.failed && !/Cannot find device|does not exist/i.test(answer.text))
    throw precondition(`network ${network}: its interface ${bridge} cannot be removed: ${answer.text}`);
  for (const program of ['iptables', 'ip6tables']) {
    const file = findIn(dirs, program);
    if (file === undefined) continue;
    for (const chain of BRIDGE_CHAINS) {
      const { failed, text } = await run(file, ['-w', '-S', chain]);
      if (failed) continue;
      const rules = text.split('\n').filter((line) => line.startsWith('-A ') && line.split(' ').includes(bridge));
      for (const rule of rules) await run(file, ['-w', '-D', ...words(rule).slice(1)]);
    }
  }
}

/** As iptables writes them: with what has blanks in quotes. */
function words(rule: string): string[] {
  return [...rule.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

async function run(file: string, args: readonly string[]): Promise<{ failed: boolean; text: string }> {
  try {
    const { stdout } = await promisify(execFile)(file, [...args], { env: { PATH: programPath(), LC_ALL: 'C' } });
    return { failed: false, text: stdout };
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    return { failed: true, text: stderr?.trim() || textOf(error) };
  }
}
