/** Whether iptables, by which CNI's plugins make rules, is there and works: a kernel without its tables shows only when rules are listed. */
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { CONF_DIR, programPath } from '../../client/network/places.js';
import { findProgram, type Program } from '../enable/program.js';
import type { Root } from '../enable/root.js';
import { oneLine } from '../errors.js';
import { missing, ok, wrong, type Finding, type Patient } from './finding.js';

/** What portmap and masquerading need, and what the plugin firewall does. */
const TABLES = ['nat', 'filter'];
/** Listing takes some milliseconds. */
const PATIENCE_MS = 3000;
const REMEDY =
  'have the kernel have the tables, by its package of modules or another kernel, or choose the variant that it has: `update-alternatives --config iptables`; --network none and host need none';
const RIGHTS = 'this root may not list rules, as in a container: give it, and whoever runs the daemon, CAP_NET_ADMIN';

export function packetFilterFindings(patient: Patient): Finding[] {
  const program = findProgram(patient.root, 'iptables');
  const program6 = findProgram(patient.root, 'ip6tables');
  return [
    program === undefined ? absent('iptables') : version4(patient, program),
    // The plugin firewall looks for it for any network.
    program6 === undefined ? absent('ip6tables') : version6(patient, program6),
  ];
}

function absent(name: string): Finding {
  return missing(
    name,
    'not found',
    'no networks but none and host, and no published ports: install the package iptables',
  );
}

function version4(patient: Patient, program: Program): Finding {
  const { found, failure } = look(patient, program);
  if (failure === undefined) return ok('iptables', found);
  return wrong(
    'iptables',
    `${found}, but ${failure}`,
    `no networks but none and host, and no published ports: ${remedy(failure)}`,
  );
}

/** Only networks with subnets of IPv6 have rules of it. */
function version6(patient: Patient, program: Program): Finding {
  const { found, failure } = look(patient, program);
  if (failure === undefined) return ok('ip6tables', found);
  const user = networkWithIpv6(patient.root);
  const what = `${found}, but ${failure}`;
  return user === undefined
    ? missing('ip6tables', what, 'no networks with IPv6')
    : wrong('ip6tables', what, `the network in ${user} has IPv6, and so no container can be in it: ${remedy(failure)}`);
}

function remedy(failure: string): string {
  return /permi(tted|ssion)/i.test(failure) ? RIGHTS : REMEDY;
}

/** Lists rules, which changes none. */
function look(
  { root, uid }: Patient,
  { file, version = 'of an unknown version' }: Program,
): { found: string; failure?: string } {
  const found = `${version}, ${file}`;
  if (!root.isThisMachine) return { found };
  if (uid !== 0) return { found: `${found}, not tried, as root alone may` };
  for (const table of TABLES) {
    const args = ['-w', '-t', table, '-S'];
    const { status, stderr, error } = spawnSync(file, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: PATIENCE_MS,
      killSignal: 'SIGKILL',
      env: { PATH: programPath() },
    });
    if (error === undefined && status === 0) continue;
    // What nft's variant says of rules that the other one has made is no failure.
    const words = oneLine((stderr ?? '').replace(/^# Warning.*$/gm, ''));
    const why = error === undefined ? words || `it ends with ${status ?? 'a signal'}` : error.message;
    return { found, failure: `\`${basename(file)} ${args.join(' ')}\` fails: ${why}` };
  }
  return { found };
}

/** A configuration that has a subnet of IPv6. */
function networkWithIpv6(root: Root): string | undefined {
  return root
    .list(CONF_DIR)
    .filter((name) => /\.(conf|conflist|json)$/.test(name))
    .map((name) => `${CONF_DIR}/${name}`)
    .find((path) => /"subnet"\s*:\s*"[\da-f]*:/i.test(root.read(path) ?? ''));
}
