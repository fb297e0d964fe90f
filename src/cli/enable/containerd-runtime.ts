/** A runtime for a RuntimeClass, in containerd's configuration: a file that it imports, or lines of ours in its own. */
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import { CliError } from '../errors.js';
import type { Change, Plan } from './change.js';
import { lookAtContainerd, RESTART_NOTE, restartOf, type Containerd } from './containerd.js';
import {
  differOnlyIn,
  effective,
  parseConfig,
  runtimesOf,
  runtimeText,
  spoken,
  table,
  type CriRuntime,
  type Table,
} from './cri-config.js';
import { blocksIn, originOf, sealed, withBlock, withoutBlock } from './marks.js';
import { optionsFile } from './names.js';
import { ours, removal } from './ours.js';
import type { Root } from './root.js';

const RUNC = 'io.containerd.runc.v2';
const CRI = /^(cri|io\.containerd\.(grpc\.v1\.cri|cri\.v1\.runtime))$/;

/** @throws CliError when it is not containerd's CRI plugin that has runtimes there, or there is no safe place for one more */
export function enableRuntime(root: Root, name: string, shim: string): Plan {
  const found = lookAtContainerd(root);
  check(root, found, name);
  const text = withoutRuntime(found.text, name);
  const bare = text === undefined ? { version: found.version } : parseConfig(text, root.at(found.file));
  const whole = effective(root, found.program, bare, found.file);
  const { runtimes, byDefault } = runtimesOf(whole ?? bare);
  const dropIn = found.imports[0] === undefined ? undefined : join(found.imports[0], `hawser-${name}.toml`);
  if (runtimes[name] !== undefined && originOf((dropIn && root.read(dropIn)) ?? '') === 'foreign')
    throw new CliError(`containerd has a runtime ${name} already, which is not of enable's: choose another name`);

  const options = optionsLike(runtimes[byDefault]);
  const optionsPath = optionsFile('containerd', name);
  const byFile = !found.isTwo && options !== undefined;
  // containerd 1 passes over runtime_path, and hands options to a shim that it knows by a path as a file's name.
  const runtime: CriRuntime = found.isTwo
    ? { runtime_type: RUNC, runtime_path: shim, ...(options === undefined ? {} : { options }) }
    : { runtime_type: shim, ...(byFile ? { options: { ConfigPath: optionsPath } } : {}) };
  return {
    changes: [
      ...(byFile ? [{ path: optionsPath, before: ours(root, optionsPath), after: sealed(stringify(options)) }] : []),
      ...place(root, { found, text, bare, whole }, name, runtime, dropIn),
    ],
    steps: [restartOf(root)],
    notes: [
      `Then containerd has the runtime ${name}, for a RuntimeClass whose handler is ${name}. Other containers have the shim that they would have had.`,
      RESTART_NOTE,
    ],
  };
}

function check(root: Root, { program, text, version, config, file }: Containerd, name: string): void {
  const where = root.at(file);
  if (program?.version === undefined && text === undefined)
    throw new CliError(`containerd is not below ${root.at('/')}: install it, or say with --root where it is`);
  if (version < 1 || version > 3)
    throw new CliError(`${where} has version ${version}, which this hawser does not know`);
  if (blocksIn(text ?? '').some((one) => one.name === name && one.isEdited))
    throw new CliError(
      `the lines for ${name} in ${where} were edited since enable wrote them: take them out first, or have \`hawser shim disable --force\` do it`,
    );
  const disabled = Array.isArray(config.disabled_plugins) ? config.disabled_plugins.map(String) : [];
  const cri = disabled.find((one) => CRI.test(one));
  if (cri !== undefined)
    throw new CliError(
      `containerd has no runtime classes, as ${where} names ${cri} in disabled_plugins: take it out there, or say --for docker`,
    );
}

interface Base {
  readonly found: Containerd;
  /** The configuration without what is ours of that name. */
  readonly text: string | undefined;
  readonly bare: Table;
  /** What containerd makes of it; undefined when it cannot be asked. */
  readonly whole: Table | undefined;
}

/** Where the runtime goes: containerd is asked, where it can be, whether all else is as it was then. */
function place(
  root: Root,
  { found, text, bare, whole }: Base,
  name: string,
  runtime: CriRuntime,
  dropIn: string | undefined,
): Change[] {
  const { program, file, version, isTwo } = found;
  const holds = (config: Table | undefined, drop?: string): boolean => {
    if (config === undefined || whole === undefined) return config !== undefined;
    const after = effective(root, program, config, file, drop);
    if (after === undefined || !differOnlyIn(name, whole, after)) return false;
    return runtimesOf(after).runtimes[name]?.runtime_type === runtime.runtime_type;
  };
  const alone = runtimeText(version, { [name]: runtime });
  // containerd 1 replaces whole sections by those of a file that it imports.
  if (dropIn !== undefined && isTwo) {
    const drop = `version = ${version}\n\n${alone}`;
    if (holds(bare, drop))
      return [
        { path: dropIn, before: ours(root, dropIn), after: sealed(drop) },
        { path: file, before: found.text, after: text },
      ];
  }
  // Once any runtime is named, containerd 1 has no others, not even its own.
  const runc = { runtime_type: RUNC, ...(spoken(runtimesOf(whole ?? bare).runtimes.runc) as CriRuntime | undefined) };
  const isFirst = whole === undefined && !isTwo && Object.keys(runtimesOf(bare).runtimes).length === 0;
  const makesFile = found.text === undefined || madeFile(found.text, name);
  for (const lines of [...(isFirst ? [] : [alone]), runtimeText(version, { runc, [name]: runtime })]) {
    const after = withBlock(text ?? `version = ${version}\n`, name, lines, makesFile);
    if (holds(parsed(after)))
      return [{ path: file, before: found.text, after }, ...(dropIn === undefined ? [] : removal(root, dropIn))];
  }
  throw new CliError(
    `a runtime ${name} cannot be added to ${root.at(file)} without changing what else containerd takes from there: put this in by hand: ${alone.trim().replace(/\n+/g, ' ⏎ ')}`,
  );
}

function parsed(text: string): Table | undefined {
  try {
    return parseConfig(text, '');
  } catch (error) {
    if (error instanceof CliError) return undefined;
    throw error;
  }
}

function madeFile(text: string, name: string): boolean {
  return blocksIn(text).some((one) => one.name === name && one.madeFile);
}

/** A configuration without our lines; undefined when nothing is left that was not ours. */
export function withoutRuntime(text: string | undefined, name: string): string | undefined {
  if (text === undefined) return undefined;
  const rest = withoutBlock(text, name);
  return madeFile(text, name) && /^version = \d\n$/.test(rest) ? undefined : rest;
}

/** The options of containerd's default runtime, for ours to have the same, such as the cgroup driver. */
function optionsLike(runtime: CriRuntime | undefined): Table | undefined {
  if (runtime?.runtime_type !== undefined && runtime.runtime_type !== RUNC) return undefined;
  return table(spoken(runtime?.options));
}
