/** In which words `start` answers: each containerd understands its own and older ones (contract §1.6). */
import { containerd } from '../../api/gen/api.js';
import { ContainerdTaskV3Task as TaskV3 } from '../../api/gen/services.js';
import { Code, connect, TtrpcError } from '../../ttrpc/index.js';
import { isContainerd2 } from './daemon.js';

/** containerd up to 1.7, from 2.0, from 2.3. */
export type Dialect = 'plain' | 'json' | 'protobuf';

const PROTOCOL = 'ttrpc';
/** Of the Task API. With the newer one containerd connects the members of a pod without a `start` for each. */
const OLD = 2;
const NEW = 3;
/** How long another shim may take to say what it serves. */
const ASK_MS = 2_000;

/**
 * Who sends BootstrapParams reads a BootstrapResult. What the others take can't be told from what they send: 1.7 and 2.0
 * both ask for version 2 at most in MAX_SHIM_VERSION, and 1.7 refuses more. So their program is looked at, and who can't
 * be known is answered in plain text, which all of them understand.
 */
export function dialectOf(sentParams: boolean, daemonPid: number): Dialect {
  if (sentParams) return 'protobuf';
  return isContainerd2(daemonPid) ? 'json' : 'plain';
}

/** The answer for a shim of ours, which serves both versions of the Task API. */
export function answer(dialect: Dialect, address: string, version = NEW): string | Uint8Array {
  if (dialect === 'plain') return address;
  if (dialect === 'json') return JSON.stringify({ version, address, protocol: PROTOCOL });
  // The protocol comes last: 2.3.0 to 2.3.3 cut white space off the end, and other last bytes may look like some.
  return containerd.runtime.bootstrap.v1.BootstrapResult.encode({ version, address, protocol: PROTOCOL }).finish();
}

/**
 * The answer for a shim that runs already. It may be another implementation's, left by an upgrade, with one version of
 * the Task API only: containerd's own had version 2 up to 1.7, and has nothing but version 3 since.
 */
export async function answerForRunning(dialect: Dialect, address: string): Promise<string | Uint8Array> {
  return answer(dialect, address, dialect === 'plain' ? OLD : await servedVersion(address));
}

async function servedVersion(address: string): Promise<number> {
  try {
    const client = await connect(address, { timeoutMs: ASK_MS });
    try {
      await client.service(TaskV3).Connect({ id: '' }, { timeoutMs: ASK_MS });
    } finally {
      client.close();
    }
  } catch (error) {
    if (TtrpcError.from(error).code === Code.Unimplemented) return OLD;
    // It knows the call, or it hangs; then any answer will do.
  }
  return NEW;
}
