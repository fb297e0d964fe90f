/** Sandboxes as plugins: the controller that has shims run them, and the service of all controllers. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isNotFound } from '../failures.js';
import { publisher } from '../events/publisher.js';
import { PluginType, type GrpcPlugin, type InitContext, type Registration } from '../plugin/types.js';
import type { ContainerRuntime } from '../tasks/container.js';
import { ShimSandboxes } from '../sandboxes/controller.js';
import { sandboxControllerService } from '../sandboxes/service.js';
import type { SandboxController } from '../sandboxes/types.js';

const controllerPlugin: Registration = {
  type: PluginType.SandboxController,
  id: 'shim',
  requires: [`${PluginType.Task}.task`, PluginType.Metadata],
  init: async (context) => {
    const { daemon, log, runtimes, signal } = context;
    const tasks = context.get<ContainerRuntime>(PluginType.Task, 'task');
    const name = `${PluginType.SandboxController}.shim`;
    const dirs = { state: join(daemon.state, name), root: join(daemon.root, name) };
    for (const dir of Object.values(dirs)) mkdirSync(dir, { recursive: true, mode: 0o711 });
    const controller = new ShimSandboxes({
      dirs,
      log,
      runtimeRoot: join(daemon.state, 'runc'),
      launcher: tasks.launcher,
      timeouts: tasks.timeouts,
      runtime: (wanted) => runtimes.get(wanted),
      isRecorded: (namespace, id) => hasRecord(context, namespace, id),
      isTask: (namespace, id) => tasks.has(namespace, id),
    });
    await controller.load();
    tasks.sandboxes = controller;
    context.onClose(() => controller.close());
    signal.addEventListener('abort', () => controller.close());
    return controller;
  },
};

/** The service `containerd.services.sandbox.v1.Controller`. */
const servicePlugin: Registration = {
  type: PluginType.Grpc,
  id: 'sandbox-controllers',
  requires: [PluginType.SandboxController, PluginType.Metadata, PluginType.Event],
  init: (context): GrpcPlugin => ({
    services: [
      sandboxControllerService({
        controllers: context.all<SandboxController>(PluginType.SandboxController),
        sandboxes: context.metadata.sandboxes,
        publish: publisher(context.events),
      }),
    ],
  }),
};

export const sandboxPlugins: readonly Registration[] = [controllerPlugin, servicePlugin];

function hasRecord({ metadata }: InitContext, namespace: string, id: string): boolean {
  try {
    metadata.sandboxes.get(namespace, id);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
