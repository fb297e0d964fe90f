/**
 * A checkpoint of a container that has its client's FIFOs or log files. criu has to be told of them, which runc offers
 * no flag for, but for a file with settings that an annotation of the container names. Rarely needed: loaded on demand.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
// Only types: the rooms below live in the shim's main file, once.
import type { CheckpointOptions, RuntimePort } from '../../runc/index.js';
import { describeAsPipes } from './as-pipes.js';
import { clientFiles } from './client-files.js';

/** The annotation, as runc keeps it among the labels of its state. */
const LABEL = 'org.criu.config=';
/** Within text a quote would be escaped, so this is the list and nothing else. */
const LABELS = /"labels":(\[(?:"(?:[^"\\]|\\.)*",?)+\])/;
/** What runc has criu read where there is none. */
const DEFAULT_CONFIG = '/etc/criu/runc.conf';

export interface CheckpointSubject {
  id: string;
  bundle: string;
  runtime: RuntimePort;
  /** The runtime's state directory. */
  root: string;
  /** Of all processes, the init first. */
  pids: readonly number[];
}

/**
 * Writes the images of a container.
 *
 * @throws RuntimeError when the runtime fails
 */
export async function takeCheckpoint(
  { id, bundle, runtime, root: own, pids }: CheckpointSubject,
  options: CheckpointOptions,
): Promise<void> {
  const files = clientFiles(pids);
  const state = files.length > 0 ? tryState(own, id) : undefined;
  if (state === undefined) {
    await runtime.checkpoint(id, options);
    return;
  }
  const scratch = mkdtempSync(join(bundle, '.checkpoint-'));
  try {
    const config = join(scratch, 'criu.conf');
    const { text, replaced } = withConfig(state, config);
    writeFileSync(
      config,
      `${existsSync(replaced) ? readFileSync(replaced, 'utf8') : ''}\n${files.map(({ key }) => `external ${key}\n`).join('')}`,
    );
    // In a copy: runc's own state is nothing to write into.
    const root = join(scratch, 'root');
    mkdirSync(join(root, id), { recursive: true, mode: 0o700 });
    writeFileSync(join(root, id, 'state.json'), text, { mode: 0o600 });
    await runtime.checkpoint(id, { ...options, root });
    // A container that ended with its checkpoint is deleted by the runtime, which here only had the copy to delete.
    if (!existsSync(join(root, id))) rmSync(join(own, id), { recursive: true, force: true });
    describeAsPipes(options.imagePath, files);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** runc's state of a container; undefined when another runtime keeps it, in another way. */
function tryState(root: string, id: string): string | undefined {
  const file = join(root, id, 'state.json');
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, 'utf8');
  return LABELS.test(text) ? text : undefined;
}

/** The state with settings for criu, and the file that had them before. All but its labels stays as it is, to the byte. */
function withConfig(state: string, config: string): { text: string; replaced: string } {
  let replaced = DEFAULT_CONFIG;
  const text = state.replace(LABELS, (_, list: string) => {
    const labels = (JSON.parse(list) as string[]).filter((label) => {
      if (!label.startsWith(LABEL)) return true;
      replaced = label.slice(LABEL.length);
      return false;
    });
    return `"labels":${JSON.stringify([...labels, LABEL + config])}`;
  });
  return { text, replaced };
}
