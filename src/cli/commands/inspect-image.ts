/** Images as `hawser inspect` shows them: docker's form. */
import type { Client } from '../../client/index.js';
import type { Globals } from '../address.js';
import { CliError, Exit } from '../errors.js';
import { explain } from '../explain.js';
import { one as shown } from '../format/output.js';
import { compile } from '../format/template.js';
import { withSession } from '../session.js';

export interface InspectImageFlags {
  readonly format?: string;
  readonly platform?: string;
}

export async function inspectImagesCommand(
  names: readonly string[],
  { format, platform }: InspectImageFlags,
  globals: Globals,
): Promise<void> {
  const render = format === undefined || format === 'json' ? undefined : compile(format);
  await withSession(globals, async ({ client }) => {
    const { NotFoundError } = await import('../../client/index.js');
    const found: unknown[] = [];
    let failed = false;
    for (const name of names) {
      try {
        found.push(await describeImage(client, name, platform));
      } catch (error) {
        const missing = new CliError(`image ${name} is not there: \`hawser images\` lists what is`);
        const told = error instanceof NotFoundError && platform === undefined ? missing : error;
        process.stderr.write(`hawser: ${explain(told).text}\n`);
        failed = true;
      }
    }
    if (render) for (const image of found) process.stdout.write(`${render(image)}\n`);
    else process.stdout.write(shown(found, format));
    if (failed) throw new Exit(1);
  });
}

/** @throws NotFoundError */
export async function describeImage(client: Client, name: string, platform?: string): Promise<unknown> {
  const { image, created, author, os, architecture, variant, config, layers, size } = await client.images.inspect(
    name,
    { platform },
  );
  const names = (await client.images.list())
    .filter(({ target }) => target.digest === image.target.digest)
    .map((one) => one.name)
    .sort();
  return {
    Id: image.target.digest,
    RepoTags: names.filter((one) => !one.includes('@')),
    RepoDigests: [...new Set(names.map((one) => `${one.replace(/(?:@.*|:[^/:]+)$/, '')}@${image.target.digest}`))],
    Created: created?.toISOString() ?? '',
    Author: author,
    Architecture: architecture,
    ...(variant === '' ? {} : { Variant: variant }),
    Os: os,
    Size: size,
    Config: {
      User: config.User ?? '',
      Env: config.Env ?? null,
      Cmd: config.Cmd ?? null,
      Entrypoint: config.Entrypoint ?? null,
      WorkingDir: config.WorkingDir ?? '',
      Labels: config.Labels ?? null,
      Volumes: config.Volumes ?? null,
      ExposedPorts: config.ExposedPorts ?? null,
      StopSignal: config.StopSignal ?? '',
    },
    RootFS: { Type: 'layers', Layers: layers },
  };
}
