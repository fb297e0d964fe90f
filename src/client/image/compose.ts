/** Images that are made here: a configuration and a manifest for layers that are there. */
import { MediaType, type Descriptor, type Manifest } from '../../oci/image.js';
import { labelBlob, putBlob, type Scope } from './content.js';
import { manifestLabels } from './labels.js';

/** Of the archive of a layer that changes nothing. */
export const EMPTY_LAYER = 'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef';
const CONFIG = 'application/vnd.oci.image.config.v1+json';

/** A step in which an image was made, as its configuration has it. */
export interface Step {
  readonly created: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

export interface Composed {
  readonly manifest: Manifest;
  readonly target: Descriptor;
}

/** @param docker in docker's own formats, for what stands on an image that is; else in those of the OCI */
export async function composeImage(
  scope: Scope,
  config: object,
  layers: readonly Descriptor[],
  docker = false,
): Promise<Composed> {
  const blob = await putBlob(scope, [Buffer.from(JSON.stringify(config))]);
  const manifest: Manifest = {
    config: { mediaType: docker ? MediaType.DockerConfig : CONFIG, digest: blob.digest, size: blob.size },
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  };
  const mediaType = docker ? MediaType.DockerManifest : MediaType.Manifest;
  const labels = manifestLabels(manifest);
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...manifest }));
  const { digest, size } = await putBlob(scope, [bytes], { labels });
  // It may have been there without them.
  await labelBlob(scope, digest, labels);
  return { manifest, target: { mediaType, digest, size } };
}

/** What an image is called that nobody gives a name: in lists it has none, and `prune` takes it. */
export function namelessOf({ digest }: Descriptor): string {
  return `<none>@${digest}`;
}
