/**
 * The Sandbox service, as containerd 1.7's shim has it: a sandbox is the shim itself, and all but its end is answered without a
 * look at what is asked. Thus none of the service's messages need be in every resident shim's memory: requests are decoded as
 * empty, and so are all answers but one.
 */
import protobuf from 'protobufjs/minimal.js';
import { google } from '../../api/gen/api.js';
import { defineService, method, type Handlers, type MessageType } from '../../ttrpc/index.js';

const { Empty } = google.protobuf;

/** Go's names, as far as they are not node's. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

interface Platform {
  readonly os: string;
  readonly architecture: string;
}

/** containerd.runtime.sandbox.v1.PlatformResponse, whose only field is a containerd.types.Platform. */
const PlatformResponse: MessageType<Platform> = {
  encode: ({ os, architecture }) =>
    protobuf.Writer.create().uint32(10).fork().uint32(10).string(os).uint32(18).string(architecture).ldelim(),
  decode: () => {
    throw new Error('a shim answers this, and is not answered');
  },
};

const ignored = method.unary(Empty, Empty);

/** Without UpdateSandbox, which came later, and which daemons let a shim not have. */
export const Sandbox = defineService('containerd.runtime.sandbox.v1.Sandbox', {
  CreateSandbox: ignored,
  StartSandbox: ignored,
  Platform: method.unary(Empty, PlatformResponse),
  StopSandbox: ignored,
  WaitSandbox: ignored,
  SandboxStatus: ignored,
  PingSandbox: ignored,
  ShutdownSandbox: ignored,
  SandboxMetrics: ignored,
});

/** What a sandbox's coming and going does to the shim. */
export interface SandboxOwner {
  /** From now on the shim has a reason to be there without a container. */
  created(): void;
  /** No longer; the daemon may ask for the shim's end, or not. */
  shutDown(): void;
  /** The shim ends, whatever it has. */
  stop(): void;
}

/** Handlers of {@link Sandbox}. Wait is answered at once, as the sandbox itself runs nothing that could end. */
export function sandboxService(owner: SandboxOwner): Required<Handlers<typeof Sandbox>> {
  const nothing = (): object => ({});
  return {
    CreateSandbox() {
      owner.created();
      return {};
    },
    StartSandbox: nothing,
    Platform: () => ({ os: process.platform, architecture: ARCHITECTURES[process.arch] ?? process.arch }),
    StopSandbox() {
      owner.stop();
      return {};
    },
    WaitSandbox: nothing,
    SandboxStatus: nothing,
    PingSandbox: nothing,
    ShutdownSandbox() {
      owner.shutDown();
      return {};
    },
    SandboxMetrics: nothing,
  };
}
