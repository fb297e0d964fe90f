/** What kubelet says to containerd: as much of the Container Runtime Interface as the tests need, by hand-made gRPC. */
import { connect as connectHttp2, constants, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import protobuf from 'protobufjs';
import { eventually, patiently } from './eventually.js';

/** The fields that the tests use, as k8s.io/cri-api numbers them. */
const PROTO = `syntax = "proto3";
package runtime.v1;
message IDMapping { uint32 host_id = 1; uint32 container_id = 2; uint32 length = 3; }
message UserNamespace { int32 mode = 1; repeated IDMapping uids = 2; repeated IDMapping gids = 3; }
message NamespaceOption { int32 network = 1; int32 pid = 2; int32 ipc = 3; string target_id = 4; UserNamespace userns_options = 5; }
message PodSandboxMetadata { string name = 1; string uid = 2; string namespace = 3; uint32 attempt = 4; }
message LinuxSandboxSecurityContext { NamespaceOption namespace_options = 1; }
message LinuxPodSandboxConfig { string cgroup_parent = 1; LinuxSandboxSecurityContext security_context = 2; }
message PodSandboxConfig { PodSandboxMetadata metadata = 1; string hostname = 2; string log_directory = 3; LinuxPodSandboxConfig linux = 8; }
message RunPodSandboxRequest { PodSandboxConfig config = 1; string runtime_handler = 2; }
message RunPodSandboxResponse { string pod_sandbox_id = 1; }
message PodSandboxRequest { string pod_sandbox_id = 1; }
message ContainerMetadata { string name = 1; uint32 attempt = 2; }
message ImageSpec { string image = 1; }
message LinuxContainerSecurityContext { NamespaceOption namespace_options = 3; }
message LinuxContainerResources { int64 memory_limit_in_bytes = 4; }
message LinuxContainerConfig { LinuxContainerResources resources = 1; LinuxContainerSecurityContext security_context = 2; }
message ContainerConfig {
  ContainerMetadata metadata = 1; ImageSpec image = 2; repeated string command = 3; repeated string args = 4;
  string log_path = 11; bool stdin = 12; bool stdin_once = 13; bool tty = 14; LinuxContainerConfig linux = 15;
}
message CreateContainerRequest { string pod_sandbox_id = 1; ContainerConfig config = 2; PodSandboxConfig sandbox_config = 3; }
message CreateContainerResponse { string container_id = 1; }
message ContainerRequest { string container_id = 1; int64 timeout = 2; }
message ContainerStatus { string id = 1; int32 state = 3; int32 exit_code = 7; string reason = 10; }
message ContainerStatusResponse { ContainerStatus status = 1; }
message UInt64Value { uint64 value = 1; }
message CpuUsage { UInt64Value usage_core_nano_seconds = 2; }
message MemoryUsage { UInt64Value working_set_bytes = 2; }
message ContainerStats { CpuUsage cpu = 2; MemoryUsage memory = 3; }
message ContainerStatsResponse { ContainerStats stats = 1; }
message ExecSyncRequest { string container_id = 1; repeated string cmd = 2; int64 timeout = 3; }
message ExecSyncResponse { bytes stdout = 1; bytes stderr = 2; int32 exit_code = 3; }
message Empty {}
`;

const types = protobuf.parse(PROTO, { keepCase: true }).root.lookup('runtime.v1') as protobuf.Namespace;

/** Modes of a namespace. */
export const NAMESPACE = { POD: 0, CONTAINER: 1, NODE: 2 } as const;
export const CONTAINER_EXITED = 2;
const CALL_MS = 60_000;

/** Ids of a pod with a user namespace, from 0 on, are those of the host from here on. */
interface UserNamespace {
  mode: number;
  uids: readonly IdMapping[];
  gids: readonly IdMapping[];
}
interface IdMapping {
  host_id: number;
  container_id: number;
  length: number;
}

export interface PodConfig {
  metadata: { name: string; uid: string; namespace: string };
  log_directory: string;
  linux: {
    cgroup_parent: string;
    security_context: { namespace_options: { network: number; pid: number; userns_options?: UserNamespace } };
  };
}
export interface ContainerStatus {
  state: number;
  exit_code: number;
  reason: string;
}

/** What a container uses. */
export interface ContainerStats {
  cpu: { usage_core_nano_seconds: { value: number } };
  memory: { working_set_bytes: { value: number } };
}

/**
 * A pod in the host's network, which takes no network plugin.
 *
 * @param cgroupParent with systemd's cgroups a slice, by its path
 */
export function podConfig(name: string, logs: string, pid: number, cgroupParent = ''): PodConfig {
  return {
    metadata: { name, uid: `uid-${name}`, namespace: 'default' },
    log_directory: logs,
    linux: { cgroup_parent: cgroupParent, security_context: { namespace_options: { network: NAMESPACE.NODE, pid } } },
  };
}

/** The same with a user namespace of its own, as kubelet asks for `hostUsers: false`; and so with a network of its own. */
export function withUsers(config: PodConfig, host: number): PodConfig {
  const all = [{ host_id: host, container_id: 0, length: 65536 }];
  const namespace_options = {
    ...config.linux.security_context.namespace_options,
    network: NAMESPACE.POD,
    userns_options: { mode: NAMESPACE.POD, uids: all, gids: all },
  };
  return { ...config, linux: { ...config.linux, security_context: { namespace_options } } };
}

export class Cri {
  readonly #session: ClientHttp2Session;

  constructor(socket: string) {
    this.#session = connectHttp2('http://localhost', { createConnection: () => connect(socket) });
    // A call in flight has the error too.
    this.#session.on('error', () => undefined);
  }

  close(): void {
    this.#session.destroy();
  }

  async runPod(config: PodConfig, handler = ''): Promise<string> {
    return (
      await this.#call<{ pod_sandbox_id: string }>(
        'RunPodSandbox',
        'RunPodSandboxRequest',
        { config, runtime_handler: handler },
        'RunPodSandboxResponse',
      )
    ).pod_sandbox_id;
  }

  /** Creates and starts a container of a pod. `memory`: its limit in bytes. */
  async run(
    pod: string,
    config: PodConfig,
    image: string,
    name: string,
    command: readonly string[],
    memory = 0,
  ): Promise<string> {
    const container = {
      metadata: { name, attempt: 0 },
      image: { image },
      command,
      log_path: `${name}.log`,
      linux: {
        ...(memory === 0 ? {} : { resources: { memory_limit_in_bytes: memory } }),
        security_context: { namespace_options: config.linux.security_context.namespace_options },
      },
    };
    const { container_id } = await this.#call<{ container_id: string }>(
      'CreateContainer',
      'CreateContainerRequest',
      { pod_sandbox_id: pod, config: container, sandbox_config: config },
      'CreateContainerResponse',
    );
    await this.#call('StartContainer', 'ContainerRequest', { container_id }, 'Empty');
    return container_id;
  }

  async status(container_id: string): Promise<ContainerStatus> {
    return (
      await this.#call<{ status: ContainerStatus }>(
        'ContainerStatus',
        'ContainerRequest',
        { container_id },
        'ContainerStatusResponse',
      )
    ).status;
  }

  async stats(container_id: string): Promise<ContainerStats> {
    return (
      await this.#call<{ stats: ContainerStats }>(
        'ContainerStats',
        'ContainerRequest',
        { container_id },
        'ContainerStatsResponse',
      )
    ).stats;
  }

  async exec(container_id: string, cmd: readonly string[]): Promise<{ stdout: string; exitCode: number }> {
    const { stdout, exit_code } = await this.#call<{ stdout: Uint8Array; exit_code: number }>(
      'ExecSync',
      'ExecSyncRequest',
      { container_id, cmd, timeout: 30 },
      'ExecSyncResponse',
    );
    return { stdout: Buffer.from(stdout).toString(), exitCode: exit_code };
  }

  async stop(container_id: string): Promise<void> {
    await this.#call('StopContainer', 'ContainerRequest', { container_id, timeout: 0 }, 'Empty');
  }
  async remove(container_id: string): Promise<void> {
    await this.#call('RemoveContainer', 'ContainerRequest', { container_id }, 'Empty');
  }
  async stopPod(pod_sandbox_id: string): Promise<void> {
    await this.#call('StopPodSandbox', 'PodSandboxRequest', { pod_sandbox_id }, 'Empty');
  }
  async removePod(pod_sandbox_id: string): Promise<void> {
    await this.#call('RemovePodSandbox', 'PodSandboxRequest', { pod_sandbox_id }, 'Empty');
  }

  /** containerd serves before its CRI plugin is ready, and says so; kubelet comes again. */
  #call<T>(method: string, requestType: string, request: object, responseType: string): Promise<T> {
    return eventually(
      `${method}: the CRI plugin is ready`,
      () =>
        this.#callOnce<T>(method, requestType, request, responseType).catch((error: unknown) => {
          if ((error as Error).message.includes('server is not initialized yet')) return undefined;
          throw error;
        }),
      CALL_MS,
    );
  }

  /** One unary call: a message after five bytes, no compression and a length; the status comes in the trailers. */
  async #callOnce<T>(method: string, requestType: string, request: object, responseType: string): Promise<T> {
    const type = types.lookupType(requestType);
    const body = type.encode(type.create(request)).finish();
    const head = Buffer.alloc(5);
    head.writeUInt32BE(body.length, 1);
    const stream = this.#session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: `/runtime.v1.RuntimeService/${method}`,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
    });
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      const chunks: Buffer[] = [];
      let trailers: IncomingHttpHeaders = {};
      stream.setTimeout(patiently(CALL_MS), () => stream.close(constants.NGHTTP2_CANCEL));
      stream
        .on('response', (headers) => void (trailers = { ...trailers, ...headers }))
        .on('trailers', (headers: IncomingHttpHeaders) => void (trailers = { ...trailers, ...headers }));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      stream.on('close', () => {
        if (trailers['grpc-status'] === '0') resolve(Buffer.concat(chunks));
        else
          reject(
            new Error(
              `${method}: ${decodeURIComponent([trailers['grpc-message'] ?? 'no answer'].join())} (code ${[trailers['grpc-status']].join()})`,
            ),
          );
      });
      stream.end(Buffer.concat([head, body]));
    });
    const response = types.lookupType(responseType);
    return response.toObject(response.decode(bytes.subarray(5)), { defaults: true, longs: Number }) as T;
  }
}
