/** All of containerd's services, by short names. */
import * as api from '../../api/full.js';
import type { ServiceDefinition } from '../../ttrpc/service.js';
import type { RpcService } from './types.js';

export const definitions = {
  containers: api.ContainerdServicesContainersV1Containers,
  content: api.ContainerdServicesContentV1Content,
  diff: api.ContainerdServicesDiffV1Diff,
  events: api.ContainerdServicesEventsV1Events,
  images: api.ContainerdServicesImagesV1Images,
  introspection: api.ContainerdServicesIntrospectionV1Introspection,
  leases: api.ContainerdServicesLeasesV1Leases,
  namespaces: api.ContainerdServicesNamespacesV1Namespaces,
  /** Records of sandboxes. */
  sandboxes: api.ContainerdServicesSandboxV1Store,
  /** Sandboxes that run. */
  sandboxControllers: api.ContainerdServicesSandboxV1Controller,
  snapshots: api.ContainerdServicesSnapshotsV1Snapshots,
  streaming: api.ContainerdServicesStreamingV1Streaming,
  tasks: api.ContainerdServicesTasksV1Tasks,
  transfer: api.ContainerdServicesTransferV1Transfer,
  version: api.ContainerdServicesVersionV1Version,
} as const satisfies Record<string, ServiceDefinition>;

/** Typed gRPC clients of containerd's services. A service that the daemon does not have fails with UnimplementedError. */
export type Services = { readonly [Name in keyof typeof definitions]: RpcService<(typeof definitions)[Name]> };
