/** How large an image is: its configuration and layers as they are stored, for this machine's platform. */
import { arch } from 'node:os';
import type { Client, Image } from '../client/index.js';

interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly architecture?: string };
}

interface Manifest {
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
}

const ARCHITECTURE: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** In bytes; of one whose content is not all there, what its manifest takes. */
export async function imageSize(client: Client, image: Image): Promise<number> {
  return [...(await imageParts(client, image)).values()].reduce((sum, size) => sum + size, 0);
}

/** What it is stored as: sizes in bytes, by digests, which other images may have, too. */
export async function imageParts(client: Client, { target }: Image): Promise<ReadonlyMap<string, number>> {
  const { ClientError } = await import('../client/index.js');
  const own = [target.digest, target.size] as const;
  try {
    let manifest = await read(client, target.digest);
    const machine = ARCHITECTURE[arch()] ?? arch();
    const chosen =
      manifest.manifests?.find(({ platform }) => platform?.architecture === machine) ?? manifest.manifests?.[0];
    if (chosen) manifest = await read(client, chosen.digest);
    const parts = [manifest.config, ...(manifest.layers ?? [])];
    return new Map([own, ...parts.flatMap((one) => (one === undefined ? [] : [[one.digest, one.size] as const]))]);
  } catch (error) {
    if (error instanceof ClientError || error instanceof SyntaxError) return new Map([own]);
    throw error;
  }
}

async function read(client: Client, digest: string): Promise<Manifest> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of client.services.content.Read({ digest })) chunks.push(data);
  return JSON.parse(Buffer.concat(chunks).toString()) as Manifest;
}
