/**
 * What a shim is asked most: how its containers are, and what they use. As long as it sleeps the former stays as it is, and the latter is made of what
 * the kernel says at the moment, so its monitor answers (monitor/answers.c), and nobody wakes for it. See also ready-answers.ts.
 */
import { containerd } from '../../api/gen/api.js';
import { ContainerdTaskV2Task, ContainerdTaskV3Task } from '../../api/gen/services.js';
import type { Answer, CookedAnswer } from '../../sys/index.js';
import { statsRecipe } from '../cgroup/metrics.js';
import type { CgroupPaths } from '../record/cgroup-paths.js';
import { beginningOfRequest, replyFrame } from '../../ttrpc/envelope.js';
import type { Containers } from '../task/containers.js';
import { connectionTo, stateOf } from '../task/questions.js';
import type { ContainerRecord } from '../record/record.js';

const { StateRequest, StateResponse, ConnectRequest, ConnectResponse, StatsRequest } = containerd.task.v2;
/** What this file answers, if it answers anything. */
export const QUESTIONS: ReadonlySet<string> = new Set(['State', 'Connect', 'Stats']);
/** With more the monitor would no longer be small, in bytes. */
const MOST_BYTES = 32 * 1024;
/** For a hundred containers: each has two kilobytes. */
const MOST_COOKED_BYTES = 256 * 1024;
const SERVICES = [ContainerdTaskV2Task, ContainerdTaskV3Task];

/** The answers to who asks as Go's client does: a time limit and metadata may follow, nothing else. */
export function answersOf(all: readonly ContainerRecord[], containers: Containers): Answer[] {
  const answers: Answer[] = [];
  let room = MOST_BYTES;
  const add = (method: string, payload: Uint8Array, answer: Uint8Array): void => {
    const reply = Buffer.concat([replyFrame(0, answer)].flat());
    for (const { name } of SERVICES) {
      const request = beginningOfRequest(name, method, payload);
      room -= request.length + reply.length;
      if (room >= 0) answers.push({ request, reply });
    }
  };
  for (const { id, execs } of all) {
    for (const execId of ['', ...Object.keys(execs)]) {
      const asked = StateRequest.encode(execId ? { id, execId } : { id }).finish();
      add('State', asked, StateResponse.encode(stateOf(containers, id, execId)).finish());
    }
    add(
      'Connect',
      ConnectRequest.encode({ id }).finish(),
      ConnectResponse.encode(connectionTo(containers, id)).finish(),
    );
  }
  return answers;
}

/** Stats of each container that has a cgroup, as whoever is asked makes them then. */
export function cookedOf(all: readonly ContainerRecord[]): CookedAnswer[] {
  const answers: CookedAnswer[] = [];
  let room = MOST_COOKED_BYTES;
  for (const { id, cgroup } of all) {
    if (!cgroup) continue;
    const asked = StatsRequest.encode({ id }).finish();
    const requests = SERVICES.map(({ name }) => beginningOfRequest(name, 'Stats', asked));
    const recipe = tryRecipe(cgroup);
    if (!recipe) continue;
    for (const { length } of [...requests, recipe]) room -= length;
    if (room < 0) break;
    answers.push({ requests, recipe });
  }
  return answers;
}

/** Undefined where its cgroups can't be looked at: who asks for it is told why, by a worker. */
function tryRecipe(cgroup: CgroupPaths): Uint8Array | undefined {
  try {
    return statsRecipe(cgroup).bytes();
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
