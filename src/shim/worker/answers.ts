/**
 * What a shim is asked most: how its containers are. As long as it sleeps that stays as it is, so its monitor answers
 * (monitor/answers.c), and nobody wakes for it. See also ready-answers.ts.
 */
import { containerd } from '../../api/gen/api.js';
import { ContainerdTaskV2Task, ContainerdTaskV3Task } from '../../api/gen/services.js';
import type { Answer } from '../../sys/index.js';
import { beginningOfRequest, replyFrame } from '../../ttrpc/envelope.js';
import type { Containers } from '../task/containers.js';
import { connectionTo, stateOf } from '../task/questions.js';
import type { ContainerRecord } from '../record/record.js';

const { StateRequest, StateResponse, ConnectRequest, ConnectResponse } = containerd.task.v2;
/** With more the monitor would no longer be small, in bytes. */
const MOST_BYTES = 32 * 1024;
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
