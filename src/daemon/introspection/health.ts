/** grpc.health.v1: whether the daemon answers, which clients ask before anything else. */
import { GrpcHealthV1Health as Health, grpc, errdefs } from '../../api/full.js';
import { bindService } from '../grpc/service.js';
import { PluginType, type GrpcPlugin, type Registration } from '../plugin/types.js';

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = grpc.health.v1.HealthCheckResponse.ServingStatus;

/** @param services the names of all that is served: each is as healthy as the daemon */
export function healthPlugin(services: () => readonly string[]): Registration {
  return {
    type: PluginType.Grpc,
    id: 'healthcheck',
    init: ({ signal: ending }): GrpcPlugin => {
      const known = (service: string): boolean => service === '' || services().includes(service);
      return {
        services: [
          bindService(Health, {
            Check: ({ service }) => {
              if (!known(service ?? '')) throw errdefs.notFound(`service ${service} is unknown`);
              return { status: ending.aborted ? NOT_SERVING : SERVING };
            },
            async *Watch({ service }, { signal }) {
              yield { status: !known(service ?? '') ? SERVICE_UNKNOWN : ending.aborted ? NOT_SERVING : SERVING };
              const changed = AbortSignal.any([signal, ending]);
              if (!changed.aborted)
                await new Promise((resolve) => changed.addEventListener('abort', resolve, { once: true }));
              if (!signal.aborted) yield { status: NOT_SERVING };
            },
          }),
        ],
      };
    },
  };
}
