/**
 * Generates the protobuf code: message classes with protobufjs, and typed ttrpc service definitions from the same
 * .proto files. Run by `make build`; what it writes (src/&#42;/gen) is not kept in git.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import protobuf from 'protobufjs';
import pbjs from 'protobufjs-cli/pbjs.js';

const top = fileURLToPath(new URL('../..', import.meta.url));
const protoRoot = join(top, 'proto');

/** Every .proto file below a directory, as paths relative to proto/, sorted. */
function protoFiles(dir: string): string[] {
  return readdirSync(join(protoRoot, dir), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.proto'))
    .map((name) => join(dir, name))
    .sort();
}

/** Writes OUT/NAME.js and OUT/NAME.d.ts with the message classes of the files. */
async function generateMessages(out: string, name: string, files: string[]): Promise<void> {
  mkdirSync(out, { recursive: true });
  const target = join(out, `${name}.js`);
  // What is left out (verify, fromObject, toObject, …) nobody here calls, and every resident shim would carry it.
  const options = ['--no-create', '--no-verify', '--no-convert', '--no-delimited', '--no-typeurl', '--no-service'];
  await promisify(pbjs.main)([
    '-t',
    'static-module',
    '-w',
    'esm',
    '--dependency',
    'protobufjs/minimal.js',
    '-r',
    `hawser.${name}`,
    '-d',
    ...options,
    '-p',
    protoRoot,
    '-o',
    target,
    ...files,
  ]);
  const types = join(out, `${name}.d.ts`);
  writeFileSync(
    types,
    readFileSync(types, 'utf8')
      .replace(
        'import * as $protobuf from "protobufjs/minimal.js";',
        'import type $protobuf from "protobufjs/minimal.js";',
      )
      // What is encoded may also be the two halves of a number: exact, and without the `long` package.
      .replace(
        'import Long = require("long");',
        'import type Long from "long";\ninterface LongHalves { low: number; high: number; unsigned?: boolean }',
      )
      .replaceAll('?: (number|Long|null)', '?: (number|Long|LongHalves|null)')
      .replaceAll('?: ((number|Long)[]|null)', '?: ((number|Long|LongHalves)[]|null)'),
  );
}

/**
 * Has each message's class, and each namespace of them, made when it is first asked for. There are hundreds, and a command asks for ten.
 *
 * @throws Error for code that protobufjs has written otherwise than this knows
 */
function makeLazy(out: string, name: string): void {
  const target = join(out, `${name}.js`);
  const opened: string[] = [];
  const lines = readFileSync(target, 'utf8')
    .split('\n')
    .map((line) => {
      const [, indent = '', holder, property] = /^( +)([\w.]+)\.(\w+) = \(function\(\) \{$/.exec(line) ?? [];
      if (holder !== undefined && property !== undefined) {
        opened.push(indent);
        return `${indent}$lazy(${holder}, "${property}", function() {`;
      }
      if (opened.length === 0 || line !== `${opened.at(-1)}})();`) return line;
      return `${opened.pop()}});`;
    });
  const at = lines.findIndex((line) => line.startsWith('const $root = '));
  if (opened.length > 0 || at < 0) throw new Error(`${target}: protobufjs writes its classes otherwise now`);
  lines.splice(
    at,
    0,
    'const $lazy = (holder, name, make) => $Object.defineProperty(holder, name, { enumerable: true, configurable: true, get() {',
    '    const value = make();',
    '    $Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });',
    '    return value;',
    '} });',
    '',
  );
  writeFileSync(target, lines.join('\n'));
}

/** Writes one definition for each service of the files, for `hawser/ttrpc` clients and servers. */
function generateServices(out: string, name: string, messages: string, files: string[], isLazy = false): void {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => join(protoRoot, target);
  root.loadSync(files);
  root.resolveAll();
  const blocks: string[] = [];
  const tops = new Set<string>();
  const walk = (space: protobuf.NamespaceBase): void => {
    for (const nested of space.nestedArray) {
      if (nested instanceof protobuf.Service) blocks.push(serviceBlock(nested, tops, isLazy));
      else if (nested instanceof protobuf.Namespace) walk(nested);
    }
  };
  walk(root);
  writeFileSync(
    join(out, `${name}.ts`),
    [
      '// Generated from proto/ by src/build/gen.ts. Not edited by hand.',
      "import { defineService, method } from '../../ttrpc/service.js';",
      `import { ${[...tops].sort().join(', ')} } from './${messages}.js';`,
      '',
      ...blocks,
    ].join('\n'),
  );
}

/** Source text that defines one service; `tops` collects the outermost namespaces it names. A lazy one asks for no class yet. */
function serviceBlock(service: protobuf.Service, tops: Set<string>, isLazy: boolean): string {
  const name = service.fullName.slice(1);
  const constant = name
    .split('.')
    .map((part) => part[0]!.toUpperCase() + part.slice(1))
    .join('');
  const lines = service.methodsArray.map((rpc) => {
    const types = [rpc.resolvedRequestType, rpc.resolvedResponseType].map((type) => {
      if (!type) throw new Error(`${name}.${rpc.name}: its request or response type is not in proto/`);
      const full = type.fullName.slice(1);
      tops.add(full.split('.')[0]!);
      return full;
    });
    const kind = rpc.requestStream
      ? rpc.responseStream
        ? 'bidi'
        : 'clientStream'
      : rpc.responseStream
        ? 'serverStream'
        : 'unary';
    const made = `method.${kind}(${types.join(', ')})`;
    return isLazy ? `  get ${rpc.name}() { return ${made}; },` : `  ${rpc.name}: ${made},`;
  });
  return [`/** \`${name}\` */`, `export const ${constant} = defineService('${name}', {`, ...lines, '});', ''].join(
    '\n',
  );
}

const all = protoFiles('.');
const envelopes = all.filter((file) => file.startsWith('ttrpc/'));
// The metrics are half of all generated code and only Stats needs them, so they are a module of their own.
const metrics = all.filter((file) => file.startsWith('io/containerd/cgroups/'));
// What only the daemon and its clients speak no shim need carry: they have a module with all of it.
const daemon = all.filter((file) =>
  /^(containerd\/(services\/(?!events\/ttrpc\/)|(types|events|runtime)\/sandbox)|grpc\/|google\/rpc\/|google\/protobuf\/field_mask)/.test(
    file,
  ),
);
const rest = all.filter((file) => !envelopes.includes(file) && !metrics.includes(file) && !daemon.includes(file));
await generateMessages(join(top, 'src/ttrpc/gen'), 'ttrpc', envelopes);
await generateMessages(join(top, 'src/api/gen'), 'api', rest);
await generateMessages(join(top, 'src/api/gen'), 'metrics', metrics);
await generateMessages(join(top, 'src/api/gen'), 'full', [...rest, ...daemon]);
for (const name of ['api', 'full']) makeLazy(join(top, 'src/api/gen'), name);
generateServices(join(top, 'src/api/gen'), 'services', 'api', rest);
generateServices(join(top, 'src/api/gen'), 'full-services', 'full', [...rest, ...daemon], true);
