/** The plugins of all that lasts: content, snapshotters, metadata, and their services. */
import { join } from 'node:path';
import { BlobFiles } from '../content/files.js';
import { contentService } from '../content/service.js';
import { diffService } from '../diff/service.js';
import type { Differ } from '../diff/types.js';
import { WalkingDiffer } from '../diff/walking.js';
import type { BoundService } from '../grpc/service.js';
import { PluginType, type GrpcPlugin, type InitContext, type Registration } from '../plugin/types.js';
import { NativeDriver } from '../snapshots/native.js';
import { OverlayDriver } from '../snapshots/overlay.js';
import { snapshotsService } from '../snapshots/service.js';
import type { SnapshotDriver } from '../snapshots/types.js';
import { transferService } from '../transfer/service.js';
import { Streams, streamingService } from '../transfer/streams.js';
import { checkKeys, readNumber, readString } from './settings.js';
import {
  containersService,
  imagesService,
  leasesService,
  namespacesService,
  sandboxStoreService,
} from '../metadata/services.js';
import { MetadataStore } from '../metadata/store.js';

interface MetadataConfig {
  readonly default_snapshotter: string;
  readonly collect_delay_ms: number;
  readonly collect_interval_s: number;
}

const OVERLAY = 'overlayfs';
const NATIVE = 'native';

/** A plugin's configuration is checked to be empty by the registry. */
const content: Registration = {
  type: PluginType.Content,
  id: 'content',
  init: (context) => {
    context.exports.root = context.root;
    return new BlobFiles(context.root);
  },
};

const overlayfs: Registration = {
  type: PluginType.Snapshotter,
  id: OVERLAY,
  init: (context) => {
    context.exports.root = context.root;
    return OverlayDriver.open(context.root);
  },
};

const native: Registration = {
  type: PluginType.Snapshotter,
  id: NATIVE,
  init: (context) => {
    context.exports.root = context.root;
    return new NativeDriver(context.root);
  },
};

const metadata: Registration<MetadataConfig> = {
  type: PluginType.Metadata,
  id: 'lmdb',
  requires: [PluginType.Content, PluginType.Snapshotter],
  config: (given) => {
    checkKeys(given, ['default_snapshotter', 'collect_delay_ms', 'collect_interval_s']);
    return {
      default_snapshotter: readString(given, 'default_snapshotter', ''),
      collect_delay_ms: readNumber(given, 'collect_delay_ms', 500),
      collect_interval_s: readNumber(given, 'collect_interval_s', 300),
    };
  },
  init: (context) => {
    const drivers = context.all<SnapshotDriver>(PluginType.Snapshotter);
    const { default_snapshotter: chosen, collect_delay_ms, collect_interval_s } = context.config;
    if (chosen !== '' && !drivers.has(chosen))
      throw new Error(`default_snapshotter ${chosen} has not started; there are ${[...drivers.keys()].join(', ')}`);
    const store = new MetadataStore({
      file: join(context.root, 'meta.mdb'),
      files: context.get<BlobFiles>(PluginType.Content, 'content'),
      drivers,
      defaultSnapshotter: chosen || (drivers.has(OVERLAY) ? OVERLAY : NATIVE),
      events: context.events,
      log: context.log,
      collectDelayMs: collect_delay_ms,
      collectIntervalMs: collect_interval_s * 1000,
    });
    context.onClose(() => store.close());
    context.exports.root = context.root;
    return store;
  },
};

const walking: Registration = {
  type: PluginType.Differ,
  id: 'walking',
  requires: [PluginType.Metadata],
  init: (context) => new WalkingDiffer(context.metadata.content, context.log),
};

const streams: Registration = {
  type: PluginType.Transfer,
  id: 'streams',
  init: () => new Streams(),
};

function service(
  id: string,
  make: (context: InitContext, store: MetadataStore) => BoundService,
  requires: readonly string[] = [],
): Registration {
  return {
    type: PluginType.Grpc,
    id,
    requires: [PluginType.Metadata, ...requires],
    init: (context): GrpcPlugin => ({ services: [make(context, context.get<MetadataStore>(PluginType.Metadata))] }),
  };
}

export const storePlugins: readonly Registration[] = [
  content,
  overlayfs,
  native,
  metadata as Registration,
  walking,
  streams,
  service('containers', (_, store) => containersService(store)),
  service('sandboxes', (_, store) => sandboxStoreService(store)),
  service('namespaces', (_, store) => namespacesService(store)),
  service('leases', (_, store) => leasesService({ leases: store.leases, collect: () => store.collect() })),
  service('images', (_, store) => imagesService({ images: store.images, collect: () => store.collect() })),
  service('content', (_, store) => contentService(store.content)),
  service('snapshots', (_, store) => snapshotsService(store)),
  service('diff', (context) => diffService(context.get<Differ>(PluginType.Differ, 'walking')), [PluginType.Differ]),
  service('streaming', (context) => streamingService(context.get<Streams>(PluginType.Transfer, 'streams')), [
    PluginType.Transfer,
  ]),
  service(
    'transfer',
    (context, store) =>
      transferService({
        stores: store,
        differ: context.get<Differ>(PluginType.Differ, 'walking'),
        streams: context.get<Streams>(PluginType.Transfer, 'streams'),
        defaultSnapshotter: store.options.defaultSnapshotter,
      }),
    [PluginType.Differ, PluginType.Transfer],
  ),
];
