import { versionService } from '../introspection/version.js';
import { PluginType, type GrpcPlugin, type Registration } from '../plugin/types.js';

/** The Version service has no state. */
export const versionPlugin: Registration = {
  type: PluginType.Grpc,
  id: 'version',
  init: (): GrpcPlugin => ({ services: [versionService()] }),
};
