/** Hooks around our own task, which runc runs. */
import { containerd } from '../../api/gen/api.js';
import { unknown } from '../../api/errdefs.js';
import { Bundle } from '../../oci/bundle.js';
import { TtrpcError } from '../../ttrpc/index.js';
import type { Custom } from '../task/custom.js';
import type { Logger } from '../observe/log.js';
import type { ContainerRecord } from '../record/record.js';
import { Keeper } from './keeping.js';
import type { Json, RuncContainer, RuncShim, Spec } from './types.js';

const { Status } = containerd.task.v2;

interface Around {
  name: string;
  namespace: string;
  log: Logger;
  /** Called when everything is ready to be served. */
  onServing: () => void;
}

/** The Task service with the author's hooks in it. */
export function aroundRunc(shim: RuncShim, { name, namespace, log, onServing }: Around): Custom {
  const describe = (id: string, bundle: string, pid: number): RuncContainer => ({
    id,
    namespace,
    bundle,
    pid,
    spec: new Bundle(bundle).spec() as Spec,
  });
  const run = async (hook: string, id: string, work: () => Promise<void> | void): Promise<void> => {
    try {
      await work();
    } catch (error) {
      log.error(`${hook} failed`, { id, error, stack: (error as Error | undefined)?.stack });
      if (error instanceof TtrpcError) throw error;
      throw unknown(`${name}: ${hook} failed: ${error instanceof Error ? error.message : String(error)}`, error);
    }
  };
  const keeper = new Keeper<RuncContainer>(shim.sleeps, name, log);
  const asTold = ({ id, bundle, init }: ContainerRecord): RuncContainer => describe(id, bundle, init.pid);
  return {
    staysAwake: keeper.staysAwake,
    rest: (record) => keeper.record(record.id, () => asTold(record)),
    resume: (record, left) => keeper.restore(record.id, () => asTold(record), left as Json),
    handlers(inner) {
      onServing();
      return {
        ...inner,
        async Create(request, context) {
          const { id, bundle } = request;
          if (shim.beforeCreate)
            await run('beforeCreate', id, () => shim.beforeCreate!(describe(id, bundle, 0), context));
          return inner.Create(request, context);
        },
        async Start(request, context) {
          if (shim.beforeStart && !request.execId) {
            const { status, bundle, pid, id } = await inner.State(request, context);
            // In any other state the start fails, and in words that clients know.
            if (status === Status.CREATED)
              await run('beforeStart', request.id, () => shim.beforeStart!(describe(id!, bundle!, pid!), context));
          }
          return inner.Start(request, context);
        },
        async Delete(request, context) {
          const bundle = request.execId || !shim.cleanup ? '' : ((await inner.State(request, context)).bundle ?? '');
          const reply = await inner.Delete(request, context);
          if (bundle)
            await run('cleanup', request.id, () =>
              shim.cleanup!({ id: request.id, namespace, bundle, pid: reply.pid ?? 0 }),
            );
          return reply;
        },
      };
    },
  };
}
