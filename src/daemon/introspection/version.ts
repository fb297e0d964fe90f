import { ContainerdServicesVersionV1Version as VersionService } from '../../api/full.js';
import { bindService, type BoundService } from '../grpc/service.js';
import { REVISION, VERSION } from '../version.js';

/** Says which daemon this is, to `ctr version` and `docker info`. */
export function versionService(): BoundService {
  return bindService(VersionService, { Version: () => ({ version: VERSION, revision: REVISION }) });
}
