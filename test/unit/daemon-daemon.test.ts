/** The daemon in this process: external plugins, clashes, required ones, and its beginning and end. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { pino } from 'pino';
import { containerd, google, grpc, pack } from '../../src/api/full.js';
import { loadConfig } from '../../src/daemon/config/index.js';
import { Daemon } from '../../src/daemon/daemon.js';
import { bindService } from '../../src/daemon/grpc/service.js';
import type { Registration } from '../../src/daemon/plugin/types.js';
import { stockPlugins } from '../../src/daemon/plugins.js';
import { connect as connectTtrpc, defineService, method, type MessageType } from '../../src/ttrpc/index.js';
import { ContainerdServicesEventsTtrpcV1Events as TtrpcEvents } from '../../src/api/full.js';
import { eventually, isPending } from '../support/eventually.js';

const directory = mkdtempSync(join(tmpdir(), 'hawser-daemon-'));
const examples = fileURLToPath(new URL('../../src/daemon/example/', import.meta.url));
after(() => rmSync(directory, { recursive: true }));
let count = 0;

interface Running {
  daemon: Daemon;
  logged: Record<string, unknown>[];
  address: string;
  root: string;
  readonly call: <Init extends object, Reply extends object>(
    path: string,
    request: MessageType<Init, unknown>,
    response: MessageType<never, Reply>,
    message: Init,
    headers?: Record<string, string>,
  ) => Promise<Reply>;
}

interface Options {
  toml?: string;
  root?: string;
  address?: string;
  plugins?: Registration[];
}

async function start({
  toml = '',
  root = join(directory, `root${count++}`),
  address = join(directory, `s${count}`),
  plugins = [],
}: Options = {}): Promise<Running> {
  const file = join(directory, `c${count}.toml`);
  writeFileSync(file, toml);
  const config = loadConfig(file, { root, state: `${root}.state`, address });
  for (const socket of [config.grpc, config.ttrpc]) [socket.uid, socket.gid] = [process.getuid!(), process.getgid!()];
  const logged: Record<string, unknown>[] = [];
  const log = pino(
    { level: 'debug' },
    { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) },
  );
  const daemon = await Daemon.start({ config, log, shim: '/shim', plugins: [...core, ...plugins] });
  const client = new Client(`unix:${address}`, credentials.createInsecure());
  after(async () => {
    client.close();
    await daemon.stop();
  });
  return {
    daemon,
    logged,
    address,
    root,
    call: (path, request, response, message, headers = {}) =>
      new Promise((resolve, reject) => {
        const metadata = new Metadata();
        for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
        client.makeUnaryRequest(
          path,
          (given: typeof message) => Buffer.from(request.encode(given).finish()),
          (bytes) => response.decode(bytes),
          message,
          metadata,
          (error, reply) => (error ? reject(error as Error) : resolve(reply!)),
        );
      }),
  };
}

/** Those that need neither root nor a database. */
const core = stockPlugins.filter(
  ({ type, id }) => type === 'io.containerd.event.v1' || ['events', 'version'].includes(id),
);
const { PluginsRequest, PluginsResponse, ServerResponse, PluginInfoRequest, PluginInfoResponse } =
  containerd.services.introspection.v1;
const { Empty } = google.protobuf;

async function plugins({ call }: Running, ...filters: string[]): Promise<Record<string, string>> {
  const reply = await call(
    '/containerd.services.introspection.v1.Introspection/Plugins',
    PluginsRequest,
    PluginsResponse,
    { filters },
  );
  return Object.fromEntries(reply.plugins.map(({ type, id, initErr }) => [`${type}.${id}`, initErr?.message ?? 'ok']));
}

test('health, version and introspection', async () => {
  const one = await start();
  const { HealthCheckRequest, HealthCheckResponse } = grpc.health.v1;
  assert.equal((await one.call('/grpc.health.v1.Health/Check', HealthCheckRequest, HealthCheckResponse, {})).status, 1);
  assert.equal(
    (
      await one.call('/grpc.health.v1.Health/Check', HealthCheckRequest, HealthCheckResponse, {
        service: 'containerd.services.version.v1.Version',
      })
    ).status,
    1,
  );
  await assert.rejects(
    one.call('/grpc.health.v1.Health/Check', HealthCheckRequest, HealthCheckResponse, { service: 'x' }),
    /service x is unknown: not found/,
  );
  assert.match(
    (
      await one.call(
        '/containerd.services.version.v1.Version/Version',
        Empty,
        containerd.services.version.v1.VersionResponse,
        {},
      )
    ).version,
    /^\d+\.\d+\.\d/,
  );
  const server = await one.call(
    '/containerd.services.introspection.v1.Introspection/Server',
    Empty,
    ServerResponse,
    {},
  );
  assert.match(server.uuid, /^[\da-f-]{36}$/);
  assert.equal(Number(server.pid), process.pid);
  assert.ok(Number(server.pidns) > 0);

  const all = await plugins(one);
  assert.equal(all['io.containerd.grpc.v1.introspection'], 'ok');
  assert.deepEqual(Object.keys(await plugins(one, 'type==io.containerd.event.v1', 'id~=^ver')).sort(), [
    'io.containerd.event.v1.exchange',
    'io.containerd.grpc.v1.version',
  ]);
  const info = await one.call(
    '/containerd.services.introspection.v1.Introspection/PluginInfo',
    PluginInfoRequest,
    PluginInfoResponse,
    { type: 'io.containerd.grpc.v1', id: 'version' },
  );
  assert.equal(info.plugin?.id, 'version');
  await assert.rejects(
    one.call('/containerd.services.introspection.v1.Introspection/PluginInfo', PluginInfoRequest, PluginInfoResponse, {
      type: 'x',
      id: 'y',
    }),
    /plugin x\.y: not found/,
  );
  await assert.rejects(
    one.call('/containerd.services.introspection.v1.Introspection/PluginInfo', PluginInfoRequest, PluginInfoResponse, {
      type: 'io.containerd.grpc.v1',
      id: 'version',
      options: { type_url: 'x' },
    }),
    /tells nothing more.*not implemented/,
  );

  await one.daemon.stop();
  const again = await start({ root: one.root });
  assert.equal(
    (await again.call('/containerd.services.introspection.v1.Introspection/Server', Empty, ServerResponse, {})).uuid,
    server.uuid,
    'the id lasts',
  );
});

test('an external plugin adds a gRPC service', async () => {
  const one = await start({
    toml: `external_plugins = ["${examples}greeter-plugin.mjs"]\n[plugins."io.containerd.grpc.v1.greeter"]\ngreeting = "Ahoy"`,
  });
  const Text = {
    encode: ({ text }: { text: string }) => ({
      finish: () => Buffer.concat([Buffer.of(0x0a, text.length), Buffer.from(text)]),
    }),
    decode: (bytes: Uint8Array) => ({ text: Buffer.from(bytes.subarray(2)).toString() }),
  };
  const reply = await one.call(
    '/example.Greeter/Greet',
    Text,
    Text,
    { text: 'crew' },
    { 'containerd-namespace': 'moby' },
  );
  assert.equal(reply.text, 'Ahoy, crew of moby!');
  await assert.rejects(
    one.call('/example.Greeter/Greet', Empty, Empty, {}),
    (error) => (error as ServiceError).details === 'whom should I greet?',
  );
  assert.deepEqual(await plugins(one, 'id==greeter'), { 'io.containerd.grpc.v1.greeter': 'ok' });
  await one.daemon.stop();
  assert.ok(one.logged.some(({ msg }) => msg === 'the greeter has said goodbye'));

  const wrong = await start({
    toml: `external_plugins = ["${examples}greeter-plugin.mjs"]\n[plugins."io.containerd.grpc.v1.greeter"]\ngreting = "Ahoy"`,
  });
  assert.deepEqual(await plugins(wrong, 'id==greeter'), {
    'io.containerd.grpc.v1.greeter': 'unknown key greting; there is greeting',
  });
});

test('an external plugin adds a runtime', async () => {
  let runtime: { shim: string; options?: google.protobuf.Any.$Properties | undefined } | undefined;
  const asking: Registration = {
    type: 'test',
    id: 'asking',
    requires: ['io.hawser.runtime.v1.wasm'],
    init: ({ runtimes }) => {
      runtime = runtimes.get('io.example.wasm.v1');
    },
  };
  await start({
    toml: `external_plugins = ["${examples}oci-runtime-plugin.mjs"]\n[plugins."io.hawser.runtime.v1.wasm"]\nbinary = "/bin/sh"`,
    plugins: [asking],
  });
  assert.equal(runtime?.shim, '/shim');
  assert.equal(containerd.runc.v1.Options.decode(runtime.options!.value!).binaryName, '/bin/sh');
  const without = await start({
    toml: `external_plugins = ["${examples}oci-runtime-plugin.mjs"]\n[plugins."io.hawser.runtime.v1.wasm"]\nbinary = "/nowhere"`,
  });
  assert.match((await plugins(without))['io.hawser.runtime.v1.wasm']!, /ENOENT.*\/nowhere/);
});

test('external modules that cannot be loaded are named in the log, and the daemon goes on', async () => {
  mkdirSync(join(directory, 'modules'), { recursive: true });
  const module = (name: string, text: string): string => {
    writeFileSync(join(directory, 'modules', name), text);
    return join(directory, 'modules', name);
  };
  const paths = [
    module('throws.mjs', 'throw new Error("while loading")'),
    module('syntax.mjs', 'export default {'),
    module('empty.mjs', 'export const a = 1'),
    module('rubbish.mjs', 'export default [null]'),
    module('twice.mjs', 'const one = { type: "t", id: "twice", init() {} }; export default [one, one]'),
    join(directory, 'modules/absent.mjs'),
    module('init.mjs', 'export default { type: "t", id: "init", init() { throw new Error("in init") } }'),
  ];
  const one = await start({ toml: `external_plugins = ${JSON.stringify(paths)}` });
  const complaints = one.logged
    .filter(({ level }) => level === 50)
    .map(({ msg }) => String(msg).replaceAll(`${directory}/modules/`, ''));
  assert.equal(complaints.length, 6, complaints.join('\n'));
  for (const [i, expected] of [
    /throws\.mjs cannot be loaded: while loading/,
    /syntax\.mjs cannot be loaded: /,
    /empty\.mjs cannot be loaded: it has no default export/,
    /rubbish\.mjs cannot be loaded: type of plugin/,
    /twice\.mjs cannot be loaded: plugin t\.twice is registered twice/,
    /absent\.mjs cannot be loaded: /,
  ].entries())
    assert.match(complaints[i]!, expected);
  const found = await plugins(one, 'type==t');
  assert.deepEqual(found, { 't.twice': 'ok', 't.init': 'in init' });
});

test('two plugins that answer for one service: the second has not started', async () => {
  const Probe = defineService('test.Probe', { Do: method.unary(Empty, Empty) });
  const probe = (id: string): Registration => ({
    type: 'io.containerd.grpc.v1',
    id,
    init: () => ({ services: [bindService(Probe, { Do: () => ({}) })] }),
  });
  const one = await start({ plugins: [probe('first'), probe('second')] });
  const found = await plugins(one, 'id==first', 'id==second');
  assert.equal(found['io.containerd.grpc.v1.first'], 'ok');
  assert.match(
    found['io.containerd.grpc.v1.second']!,
    /test\.Probe of io\.containerd\.grpc\.v1\.second is answered by io\.containerd\.grpc\.v1\.first already/,
  );
});

test('a required plugin that is not there, or has not started, ends the daemon, and everything is given back', async () => {
  const closed: string[] = [];
  const good: Registration = { type: 't', id: 'good', init: ({ onClose }) => onClose(() => void closed.push('good')) };
  const bad: Registration = {
    type: 't',
    id: 'bad',
    init: () => {
      throw new Error('no luck');
    },
  };
  const root = join(directory, 'required');
  const address = join(directory, 'required.sock');
  await assert.rejects(
    start({ root, address, toml: 'required_plugins = ["t.none"]', plugins: [good] }),
    /required_plugins names t\.none, and there is no such plugin/,
  );
  assert.deepEqual(closed, ['good']);
  assert.ok(!existsSync(address));
  await assert.rejects(
    start({ root, address, toml: 'required_plugins = ["t.good", "t.bad"]', plugins: [good, bad] }),
    /required plugin t\.bad has not started: no luck/,
  );
  const server = 'io.containerd.server.v1';
  await start({
    root,
    address,
    toml: `required_plugins = ["t.good", "${server}.grpc", "${server}.ttrpc", "${server}.metrics"]`,
    plugins: [good],
  });
});

test('metrics are not served where their server is disabled', async () => {
  const given: unknown[] = [];
  const seen: Registration = { type: 't', id: 'seen', init: ({ daemon }) => void given.push(daemon.metricsAddress) };
  const metrics = '[metrics]\naddress = "127.0.0.1:1"';
  await start({ toml: metrics, plugins: [seen] });
  await start({ toml: `disabled_plugins = ["io.containerd.server.v1.metrics"]\n${metrics}`, plugins: [seen] });
  assert.deepEqual(given, ['127.0.0.1:1', undefined]);
});

test('a plugin is required by the name that version 1 has for it', async () => {
  const restart: Registration = { type: 'io.containerd.internal.v1', id: 'restart', init: () => undefined };
  await start({ toml: 'required_plugins = ["restart"]', plugins: [restart] });
  await start({
    toml: 'version = 4\nrequired_plugins = ["io.containerd.monitor.container.v1.restart"]',
    plugins: [restart],
  });
});

test('a second daemon on a root or a socket is refused, and the first one does not notice', async () => {
  const one = await start();
  await assert.rejects(
    start({ root: one.root }),
    new RegExp(`root ${one.root} is in use by the hawserd of process ${process.pid}`),
  );
  await assert.rejects(
    start({ address: one.address }),
    new RegExp(`socket ${one.address} is in use by process ${process.pid}`),
  );
  assert.equal((await plugins(one))['io.containerd.grpc.v1.version'], 'ok');
  writeFileSync(join(directory, 'file'), '');
  await assert.rejects(
    start({ root: join(directory, 'file') }),
    /root directory .*file cannot be used: .*Give another one with --root/,
  );
});

test('who comes while plugins start is answered afterwards', async () => {
  let release = (): void => undefined;
  let inInit = false;
  const slow: Registration = {
    type: 't',
    id: 'slow',
    init: () =>
      new Promise<void>((resolve) => {
        inInit = true;
        release = resolve;
      }),
  };
  const address = join(directory, 'early.sock');
  const starting = start({ address, plugins: [slow] });
  await eventually('the plugin starts', () => inInit);
  const leaving = connect(address);
  await new Promise((resolve) => leaving.once('connect', resolve));
  leaving.destroy();
  const shim = await connectTtrpc(`${address}.ttrpc`);
  const forwarding = shim.service(TtrpcEvents).Forward({
    envelope: {
      namespace: 'ns',
      topic: '/tasks/exit',
      timestamp: { seconds: 1 },
      event: pack('containerd.events.TaskExit', containerd.events.TaskExit, { containerId: 'a' }),
    },
  });
  const client = new Client(`unix:${address}`, credentials.createInsecure());
  const version = new Promise<object>((resolve, reject) => {
    client.makeUnaryRequest(
      '/containerd.services.version.v1.Version/Version',
      () => Buffer.alloc(0),
      (bytes) => containerd.services.version.v1.VersionResponse.decode(bytes),
      {},
      (error, reply) => (error ? reject(error as Error) : resolve(reply!)),
    );
  });
  assert.ok(await isPending(forwarding));
  release();
  await forwarding;
  await version;
  client.close();
  shim.close();
  await (await starting).daemon.stop();
});
