/** What a shim says of itself, asked for as an operator would. */
import { get } from 'node:http';
import type { RequestState, State } from '../../src/shim/debug/state.js';
import type { ContainerState } from '../../src/shim/debug/containers.js';
import { eventually, within } from './eventually.js';

export interface HttpAnswer {
  status: number | undefined;
  type: string | undefined;
  body: string;
}

export function httpGet(socketPath: string, path: string): Promise<HttpAnswer> {
  return within(
    `an answer to GET ${path}`,
    new Promise((resolve, reject) => {
      get({ socketPath, path }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () =>
          resolve({
            status: response.statusCode,
            type: response.headers['content-type'],
            body: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      }).once('error', reject);
    }),
  );
}

export async function stateOf({ socket }: { socket: string }): Promise<State> {
  const { status, body } = await httpGet(socket, '/state');
  if (status !== 200) throw new Error(`GET /state: ${status} ${body}`);
  return JSON.parse(body) as State;
}

/** The samples by name and labels, those that all have left out: `requests_total{method="Start"}`. */
export async function metricsOf({ socket }: { socket: string }): Promise<Map<string, number>> {
  const { status, body } = await httpGet(socket, '/metrics');
  if (status !== 200) throw new Error(`GET /metrics: ${status} ${body}`);
  return new Map(
    [...body.matchAll(/^hawser_shim_([a-z_]+)\{namespace="[^"]*",id="[^"]*",?(.*)\} (\S+)$/gm)].map(
      ([, name, labels, value]) => [labels ? `${name}{${labels}}` : name!, Number(value)],
    ),
  );
}

/** The dump in which a request is pending, once it waits for something that fits. */
export async function pendingRequest(
  shim: { socket: string },
  method: string,
  fits: (request: RequestState, state: State) => boolean,
): Promise<{ request: RequestState; state: State }> {
  let last: State | undefined;
  try {
    return await eventually(`a pending ${method}`, async () => {
      const state = (last = await stateOf(shim));
      const request = state.requests.find((one) => one.method === method && fits(one, state));
      return request && { request, state };
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}; the state is ${JSON.stringify(last)}`, { cause: error });
  }
}

export function containerIn(state: State, id: string): ContainerState {
  const found = state.containers.find((one) => one.id === id);
  if (!found) throw new Error(`no container ${id} in ${JSON.stringify(state)}`);
  return found;
}

/** Has a zygote forked this shim? Else Node has been started for it. */
export async function isForked(shim: Parameters<typeof stateOf>[0]): Promise<boolean> {
  return (await stateOf(shim)).timeline.some(({ what }) => what === 'forked');
}
