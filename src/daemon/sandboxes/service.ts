/** The gRPC service of sandboxes that run: each call goes to the controller that it names. */
import { ContainerdServicesSandboxV1Controller as Controller, errdefs, timestamp } from '../../api/full.js';
import { realtime } from '../../sys/index.js';
import type { Handlers } from '../../ttrpc/handlers.js';
import { bindService, type BoundService, type Call } from '../grpc/service.js';
import type { Publish } from '../events/publisher.js';
import { isNotFound } from '../failures.js';
import type { Sandbox, SandboxStore } from '../metadata/types.js';
import type { SandboxController, SandboxRequest } from './types.js';

/** What clients of containerd 1.7 mean, which name none. */
const DEFAULT_SANDBOXER = 'shim';

export interface SandboxServiceOptions {
  readonly controllers: ReadonlyMap<string, SandboxController>;
  readonly sandboxes: SandboxStore;
  readonly publish: Publish;
}

export function sandboxControllerService({ controllers, sandboxes, publish }: SandboxServiceOptions): BoundService {
  const controller = (name: string): SandboxController => {
    const found = controllers.get(name === '' ? DEFAULT_SANDBOXER : name);
    if (found === undefined)
      throw errdefs.notFound(
        `sandbox controller ${JSON.stringify(name)}: there are ${[...controllers.keys()].join(', ')}`,
      );
    return found;
  };
  const recorded = (namespace: string, id: string): Sandbox | undefined => {
    try {
      return sandboxes.get(namespace, id);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };
  const create = async (
    chosen: SandboxController,
    request: SandboxRequest,
    { namespace, signal }: Call,
  ): Promise<void> => {
    await chosen.create(namespace, request, signal);
    publish(namespace, '/sandboxes/create', 'SandboxCreate', { sandboxId: request.id });
  };
  const handlers: Handlers<typeof Controller, Call> = {
    async Create({ sandboxId: id, sandbox, sandboxer, rootfs, options, netnsPath, annotations }, call) {
      // A client of containerd 1.7 does not send the record that it has made before.
      const record = sandbox ?? sandboxes.get(call.namespace, id);
      await create(controller(sandboxer), { id, sandbox: record, rootfs, options, netnsPath, annotations }, call);
      return { sandboxId: id };
    },
    async Start({ sandboxId, sandboxer }, call) {
      const { namespace } = call;
      const chosen = controller(sandboxer);
      // Go clients up to containerd 2.1 make a record and start it, and fail with containerd.
      const record = chosen.has(namespace, sandboxId) ? undefined : recorded(namespace, sandboxId);
      if (record !== undefined)
        await create(
          chosen,
          { id: sandboxId, sandbox: record, rootfs: [], options: undefined, netnsPath: '', annotations: {} },
          call,
        );
      const { pid, createdAt } = await chosen.start(namespace, sandboxId);
      publish(namespace, '/sandboxes/start', 'SandboxStart', { sandboxId });
      return { sandboxId, pid, createdAt: createdAt ?? {} };
    },
    async Platform({ sandboxId, sandboxer }, { namespace }) {
      return { platform: (await controller(sandboxer).platform(namespace, sandboxId)).platform ?? null };
    },
    async Stop({ sandboxId, sandboxer, timeoutSecs }, { namespace }) {
      await controller(sandboxer).stop(namespace, sandboxId, timeoutSecs);
      return {};
    },
    async Wait({ sandboxId, sandboxer }, { namespace, signal }) {
      const { exitStatus, exitedAt } = await controller(sandboxer).wait(namespace, sandboxId, signal);
      const exit = { exitStatus, exitedAt: exitedAt ?? {} };
      publish(namespace, '/sandboxes/exit', 'SandboxExit', { sandboxId, ...exit });
      return exit;
    },
    async Status({ sandboxId, sandboxer, verbose }, { namespace }) {
      const status = await controller(sandboxer).status(namespace, sandboxId, verbose);
      if (status === undefined) return { sandboxId, exitedAt: realtime(), createdAt: timestamp(undefined), extra: {} };
      const { pid, state, info, createdAt, exitedAt, extra } = status;
      return {
        sandboxId: status.sandboxId,
        pid,
        state,
        info,
        createdAt: createdAt ?? {},
        exitedAt: exitedAt ?? {},
        extra: extra ?? {},
      };
    },
    async Shutdown({ sandboxId, sandboxer }, { namespace }) {
      const chosen = controller(sandboxer);
      // Its stop was its end: the same clients would keep its record, were this NotFound.
      if (chosen.has(namespace, sandboxId) || recorded(namespace, sandboxId) === undefined)
        await chosen.shutdown(namespace, sandboxId);
      return {};
    },
    async Metrics({ sandboxId, sandboxer }, { namespace }) {
      return { metrics: (await controller(sandboxer).metrics(namespace, sandboxId)) ?? null };
    },
    async Update({ sandboxId, sandboxer, sandbox, fields }, { namespace }) {
      const chosen = controller(sandboxer);
      if (!sandbox) throw errdefs.invalidArgument('sandbox can not be nil');
      await chosen.update(namespace, sandboxId, sandbox, fields);
      return {};
    },
  };
  return bindService(Controller, handlers);
}
