/** The services of the metadata's own records. */
import {
  ContainerdServicesContainersV1Containers,
  ContainerdServicesImagesV1Images,
  ContainerdServicesLeasesV1Leases,
  ContainerdServicesNamespacesV1Namespaces,
  ContainerdServicesSandboxV1Store,
  type containerd,
} from '../../api/full.js';
import { bindService, type BoundService } from '../grpc/service.js';
import type { MetadataStore } from './store.js';
import type { Labels, Metadata } from './types.js';

export function containersService({ containers }: Pick<Metadata, 'containers'>): BoundService {
  return bindService(ContainerdServicesContainersV1Containers, {
    Get: ({ id }, { namespace }) => ({ container: containers.get(namespace, id) }),
    List: ({ filters }, { namespace }) => ({ containers: containers.list(namespace, filters) }),
    *ListStream({ filters }, { namespace }) {
      for (const container of containers.list(namespace, filters)) yield { container };
    },
    Create: async ({ container }, { namespace }) => ({
      container: await containers.create(namespace, container ?? {}),
    }),
    Update: async ({ container, updateMask }, { namespace }) => ({
      container: await containers.update(namespace, container ?? {}, updateMask?.paths ?? []),
    }),
    Delete: async ({ id }, { namespace }) => {
      await containers.delete(namespace, id);
      return {};
    },
  });
}

export function sandboxStoreService({ sandboxes }: Pick<Metadata, 'sandboxes'>): BoundService {
  return bindService(ContainerdServicesSandboxV1Store, {
    Get: ({ sandboxId }, { namespace }) => ({ sandbox: sandboxes.get(namespace, sandboxId) }),
    List: ({ filters }, { namespace }) => ({ list: sandboxes.list(namespace, filters) }),
    Create: async ({ sandbox }, { namespace }) => ({ sandbox: await sandboxes.create(namespace, sandbox ?? {}) }),
    Update: async ({ sandbox, fields }, { namespace }) => ({
      sandbox: await sandboxes.update(namespace, sandbox ?? {}, fields),
    }),
    Delete: async ({ sandboxId }, { namespace }) => {
      await sandboxes.delete(namespace, sandboxId);
      return {};
    },
  });
}

export function namespacesService({ namespaces }: Pick<Metadata, 'namespaces'>): BoundService {
  return bindService(ContainerdServicesNamespacesV1Namespaces, {
    Get: ({ name }) => ({ namespace: { name, labels: namespaces.labels(name) } }),
    List: () => ({ namespaces: namespaces.list().map((name) => ({ name, labels: namespaces.labels(name) })) }),
    Create: async ({ namespace }) => {
      const { name, labels } = given(namespace);
      await namespaces.create(name, labels);
      return { namespace: { name, labels } };
    },
    Update: async ({ namespace, updateMask }) => {
      const { name, labels } = given(namespace);
      return { namespace: { name, labels: await namespaces.update(name, labels, updateMask?.paths ?? []) } };
    },
    Delete: async ({ name }) => {
      await namespaces.delete(name);
      return {};
    },
  });
}

function given(namespace: containerd.services.namespaces.v1.Namespace.$Properties | null | undefined): {
  name: string;
  labels: Labels;
} {
  return { name: namespace?.name ?? '', labels: namespace?.labels ?? {} };
}

export function leasesService({
  leases,
  collect,
}: {
  leases: Metadata['leases'];
  collect: () => Promise<void>;
}): BoundService {
  return bindService(ContainerdServicesLeasesV1Leases, {
    Create: async ({ id, labels }, { namespace }) => ({ lease: await leases.create(namespace, { id, labels }) }),
    Delete: async ({ id, sync }, { namespace }) => {
      await leases.delete(namespace, id);
      if (sync) await collect();
      return {};
    },
    List: ({ filters }, { namespace }) => ({ leases: leases.list(namespace, filters) }),
    AddResource: async ({ id, resource }, { namespace }) => {
      await leases.addResource(namespace, id, resource ?? {});
      return {};
    },
    DeleteResource: async ({ id, resource }, { namespace }) => {
      await leases.deleteResource(namespace, id, resource ?? {});
      return {};
    },
    ListResources: ({ id }, { namespace }) => ({ resources: leases.resources(namespace, id) }),
  });
}

export function imagesService({
  images,
  collect,
}: {
  images: MetadataStore['images'];
  collect: () => Promise<void>;
}): BoundService {
  return bindService(ContainerdServicesImagesV1Images, {
    Get: ({ name }, { namespace }) => ({ image: images.get(namespace, name) }),
    List: ({ filters }, { namespace }) => ({ images: images.list(namespace, filters) }),
    Create: async ({ image, sourceDateEpoch }, { namespace }) => ({
      image: await images.create(namespace, image ?? {}, sourceDateEpoch),
    }),
    Update: async ({ image, updateMask, sourceDateEpoch }, { namespace }) => ({
      image: await images.update(namespace, image ?? {}, updateMask?.paths ?? [], sourceDateEpoch),
    }),
    Delete: async ({ name, sync, target }, { namespace }) => {
      await images.delete(namespace, name, target ?? undefined);
      if (sync) await collect();
      return {};
    },
  });
}
