import { ContainerdServicesVersionV1Version as VersionService } from '../../api/full.js';
import { bindService } from '../grpc/service.js';
import { PluginType, type GrpcPlugin, type Registration } from '../plugin/types.js';
import { REVISION, VERSION } from '../version.js';

/** Says which daemon this is, to `ctr version` and `docker info`. */
export const versionPlugin: Registration = {
  type: PluginType.Grpc,
  id: 'version',
  init: (): GrpcPlugin => ({
    services: [bindService(VersionService, { Version: () => ({ version: VERSION, revision: REVISION }) })],
  }),
};
