/** All that enable has written, found by its marks. */
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { CONTAINERD_SERVICE, lookAtContainerd } from './containerd.js';
import { runtimesOf } from './cri-config.js';
import { DOCKER_SERVICE, dockerRuntimes, lookAtDocker } from './docker.js';
import { blocksIn, originOf } from './marks.js';
import { optionsFile } from './names.js';
import { SHIM } from './own-shim.js';
import type { Root } from './root.js';
import { dropInOf } from './service.js';

export type Kind = 'service' | 'containerd' | 'docker';

/** One thing that enable has written. */
export interface Written {
  readonly kind: Kind;
  /** Of the service, or the runtime. */
  readonly name: string;
  readonly path: string;
  /** It is lines of a file that is another's. */
  readonly isPart: boolean;
  /** It is not as enable wrote it. */
  readonly isEdited: boolean;
  /** Where it leads; undefined when that cannot be told any more. */
  readonly shim: string | undefined;
}

/** @throws CliError when a daemon's configuration is not to be understood */
export function allWritten(root: Root): Written[] {
  return [...services(root), ...imported(root), ...blocks(root), ...docker(root)];
}

/** As a user would say it. */
export function nameOfWritten({ kind, name }: Pick<Written, 'kind' | 'name'>): string {
  return kind === 'service' ? name : `${kind}'s runtime ${name}`;
}

function services(root: Root): Written[] {
  return [CONTAINERD_SERVICE, DOCKER_SERVICE].flatMap((name) => {
    const path = dropInOf(name);
    const text = root.read(path);
    const directory = /^Environment="?PATH=([^:\n]+)/m.exec(text ?? '')?.[1]?.replaceAll('%%', '%');
    return fileOf(text, {
      kind: 'service',
      name,
      path,
      shim: directory === undefined ? undefined : `${directory}/${SHIM}`,
    });
  });
}

function imported(root: Root): Written[] {
  return lookAtContainerd(root).imports.flatMap((directory) =>
    root.list(directory).flatMap((entry) => {
      const [, name] = /^hawser-(.+)\.toml$/.exec(entry) ?? [];
      if (name === undefined) return [];
      const path = join(directory, entry);
      const text = root.read(path);
      return fileOf(text, { kind: 'containerd', name, path, shim: shimOf(text ?? '', name) });
    }),
  );
}

function blocks(root: Root): Written[] {
  const { file, text } = lookAtContainerd(root);
  return blocksIn(text ?? '').map(({ name, body, isEdited }) => ({
    kind: 'containerd',
    name,
    path: file,
    isPart: true,
    isEdited: isEdited || isEditedFile(root, optionsFile('containerd', name)),
    shim: shimOf(body, name),
  }));
}

function docker(root: Root): Written[] {
  const found = lookAtDocker(root);
  return dockerRuntimes(found).map(({ name, isEdited, shim }) => ({
    kind: 'docker',
    name,
    path: found.file,
    isPart: true,
    isEdited: isEdited || isEditedFile(root, optionsFile('docker', name)),
    shim,
  }));
}

function fileOf(text: string | undefined, what: Omit<Written, 'isPart' | 'isEdited'>): Written[] {
  const origin = originOf(text ?? '');
  return origin === 'foreign' ? [] : [{ ...what, isPart: false, isEdited: origin === 'edited' }];
}

function isEditedFile(root: Root, path: string): boolean {
  const text = root.read(path);
  return text !== undefined && originOf(text) !== 'ours';
}

function shimOf(text: string, name: string): string | undefined {
  try {
    const { runtime_path: path, runtime_type: type } = runtimesOf(parse(text)).runtimes[name] ?? {};
    return typeof path === 'string' && path !== '' ? path : type;
  } catch (error) {
    // Edited, and no TOML any more.
    if (error instanceof Error) return undefined;
    throw error;
  }
}
