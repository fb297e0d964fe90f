/** A command's connection to its daemon, and its containers by what users call them. */
import { NAME } from '../client/nerdctl.js';
import { delimiter } from 'node:path';
import { addressOf, checkSocket, namespaceOf, silentDaemon, type Globals } from './address.js';
import type { Client, Container, NetworkPlaces } from '../client/index.js';
import { CliError, NoSuchContainer } from './errors.js';
import { dataRoot, networkDirectory } from './store.js';

/** As flags and $HAWSER_DATA say; the library knows the rest. */
function networkPlaces({ cniPath, cniNetconfpath }: Globals): NetworkPlaces {
  return {
    confDir: cniNetconfpath,
    pluginDirs: cniPath?.split(delimiter).filter(Boolean),
    stateDir: networkDirectory(),
  };
}

/** How long a daemon may take to answer at all. */
const ANSWER_MS = 15_000;

/** Loaded when a command needs it only: gRPC takes longer to load than all the rest. */
const clientLibrary = () => import('../client/index.js');

export class Session {
  private constructor(
    readonly client: Client,
    readonly address: string,
    readonly namespace: string,
  ) {}

  /** @throws CliError that says why there is no daemon */
  static async open(globals: Globals): Promise<Session> {
    const [address, namespace] = [addressOf(globals), namespaceOf(globals)];
    checkSocket(address);
    const { Client, UnavailableError, DeadlineExceededError } = await clientLibrary();
    try {
      return new Session(
        await Client.connect({
          address,
          namespace,
          dataRoot: dataRoot(),
          networkPlaces: networkPlaces(globals),
          timeoutMs: ANSWER_MS,
        }),
        address,
        namespace,
      );
    } catch (error) {
      if (error instanceof UnavailableError || error instanceof DeadlineExceededError)
        throw silentDaemon(address, error);
      throw error;
    }
  }

  close(): void {
    this.client.close();
  }

  /**
   * The container that is meant: by its id, the beginning of an id that only one has, or a name that nerdctl or Kubernetes gave it.
   *
   * @throws CliError when there is none, or more than one
   */
  async find(reference: string): Promise<Container> {
    const { NotFoundError, InvalidArgumentError } = await clientLibrary();
    try {
      return await this.client.load(reference);
    } catch (error) {
      if (!(error instanceof NotFoundError) && !(error instanceof InvalidArgumentError)) throw error;
    }
    const all = await this.client.containers();
    const named = all.filter(({ record }) => nameOf(record.labels) === reference);
    const meant = named.length > 0 ? named : all.filter(({ id }) => reference !== '' && id.startsWith(reference));
    if (meant.length === 1) return meant[0]!;
    if (meant.length > 1)
      throw new CliError(
        `container ${reference} may be ${meant.map(({ id }) => shortId(id)).join(' or ')}: give more of its id`,
      );
    throw new NoSuchContainer(
      `container ${reference} does not exist in namespace ${this.namespace} of ${this.address}: \`hawser ps -a\` lists what does`,
    );
  }
}

/** Runs a command's work with a connection that is closed afterwards. */
export async function withSession<T>(globals: Globals, work: (session: Session) => Promise<T>): Promise<T> {
  const session = await Session.open(globals);
  try {
    return await work(session);
  } finally {
    session.close();
  }
}

/** Of an id of 64 hexadecimal digits the first 12; any other as it is. */
export function shortId(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id;
}

/** A name besides the id, of those who keep one in a label. */
export function nameOf(labels: Readonly<Record<string, string>>): string | undefined {
  return labels[NAME] ?? labels['io.kubernetes.container.name'];
}
