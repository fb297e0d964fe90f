/** The words of `upgrade`, which a person gives and no daemon: its flags may stand before it, as a daemon's do, or after it. */
import { UsageError } from './usage-error.js';

/** Which shims are to run this version, and how. */
export interface UpgradeOrder {
  /** Only of this namespace; any when empty. */
  namespace: string;
  /** Of this container; of all when empty. */
  id: string;
  /** Only of the daemon with this gRPC socket; of any when empty. */
  address: string;
  /** How long a worker may take until nothing is under way that another could not go on with, in seconds. */
  patience: number;
  /** Nothing is done but to say what would be. */
  dryRun: boolean;
  help: boolean;
}

const PATIENCE_S = 10;
const LONGEST_S = 3600;

export const UPGRADE_USAGE = `Usage: containerd-shim-runc-v2 upgrade [-namespace N -id ID | --all] [--dry-run]

Running shims go on with this version of the program, and their containers notice nothing.

  -namespace string   of this namespace
  -id string          of this container
  -address string     of the daemon whose gRPC socket this is
  --all               of every container whose shim was started from this installation
  --dry-run           say what would be done, and do nothing
  --wait seconds      how long a shim may take until nothing is under way in it that stands against it (default ${PATIENCE_S})
`;

const texts = ['namespace', 'id', 'address', 'wait'] as const;

/**
 * @param args the words after `upgrade`
 * @param before what was said by flags before it
 * @throws UsageError
 */
export function parseUpgrade(
  args: readonly string[],
  before: Pick<UpgradeOrder, 'namespace' | 'id' | 'address'>,
): UpgradeOrder {
  const order = { ...before, wait: String(PATIENCE_S), dryRun: false, help: false };
  let all = false;
  for (let at = 0; at < args.length; at++) {
    const [, name = '', value] = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(args[at]!) ?? [];
    const text = texts.find((one) => one === name);
    if (text) {
      const given = value ?? args[++at];
      if (given === undefined) throw wrong(`flag needs an argument: -${name}`);
      order[text] = given;
    } else if (value !== undefined || !['all', 'dry-run', 'h', 'help'].includes(name)) {
      throw wrong(`${args[at]} is none of its words`);
    } else if (name === 'all') all = true;
    else if (name === 'dry-run') order.dryRun = true;
    else order.help = true;
  }
  const { wait, ...rest } = order;
  const patience = Number(wait);
  if (!/^\d+$/.test(wait) || patience < 1 || patience > LONGEST_S)
    throw wrong(`--wait ${wait}: it takes a number of seconds, 1 to ${LONGEST_S}`);
  if (order.help) return { ...rest, patience };
  if (all && order.id) throw wrong('--all and -id exclude each other');
  if (!all && !order.id) throw wrong('it takes -namespace and -id of a container, or --all');
  if (order.id && !order.namespace) throw wrong('-id goes with -namespace, that of the container');
  return { ...rest, patience };
}

function wrong(why: string): UsageError {
  return new UsageError(`upgrade: ${why}`, UPGRADE_USAGE);
}
