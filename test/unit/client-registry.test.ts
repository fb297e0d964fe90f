/** How the client speaks with registries, of which those that misbehave are scripted. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import {
  AbortError,
  ClientError,
  InvalidArgumentError,
  NotFoundError,
  ResourceExhaustedError,
  UnauthenticatedError,
  UnavailableError,
} from '../../src/client/errors.js';
import { parseChallenges } from '../../src/client/registry/challenge.js';
import { credentialsOf, eraseCredentials, storeCredentials } from '../../src/client/registry/docker-config.js';
import { hostsOf } from '../../src/client/registry/hosts.js';
import { parseReference } from '../../src/client/registry/reference.js';
import { Repository } from '../../src/client/registry/repository.js';
import type { RegistryOptions } from '../../src/client/registry/types.js';
import { digestOf, ScriptedRegistry, TYPE, type Seen } from '../support/scripted-registry.js';
import { Code } from '../../src/ttrpc/status.js';

const dir = mkdtempSync(join(tmpdir(), 'hawser-registry-'));
const nowhere = join(dir, 'nowhere');
const opened: { stop?(): Promise<void>; close?(): Promise<void> }[] = [];
after(() => rmSync(dir, { recursive: true }));
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await (one.stop?.() ?? one.close?.());
});

/** Nobody waits here. */
const PATIENCE = { attempts: 4, firstMs: 1, mostMs: 5 };
const layer = randomBytes(300_000);

async function scripted(tls?: Parameters<typeof ScriptedRegistry.start>[0]): Promise<ScriptedRegistry> {
  const registry = await ScriptedRegistry.start(tls);
  opened.push(registry);
  return registry;
}

async function repository(name: string, options: RegistryOptions = {}): Promise<Repository> {
  const one = await Repository.open(
    parseReference(name),
    { hostsDir: nowhere, auth: () => undefined, ...options },
    PATIENCE,
  );
  opened.push(one);
  return one;
}

async function all(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const read: Uint8Array[] = [];
  for await (const chunk of chunks) read.push(Buffer.from(chunk));
  return Buffer.concat(read);
}

/** Faults for what a path ends with, one after the other; none after them. */
function inTurn(end: string, faults: readonly ReturnType<ScriptedRegistry['fault']>[]): ScriptedRegistry['fault'] {
  const left = [...faults];
  return ({ path, method }: Seen) => (method === 'GET' && path.split('?')[0]!.endsWith(end) ? left.shift() : undefined);
}

test('names as docker and containerd read them', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  for (const [text, name, domain, path] of [
    ['busybox', 'docker.io/library/busybox:latest', 'docker.io', 'library/busybox'],
    ['docker.io/busybox', 'docker.io/library/busybox:latest', 'docker.io', 'library/busybox'],
    ['index.docker.io/busybox:1', 'docker.io/library/busybox:1', 'docker.io', 'library/busybox'],
    ['some/thing', 'docker.io/some/thing:latest', 'docker.io', 'some/thing'],
    ['localhost/thing', 'localhost/thing:latest', 'localhost', 'thing'],
    ['localhost:5000/a/b/c:v1', 'localhost:5000/a/b/c:v1', 'localhost:5000', 'a/b/c'],
    ['[::1]:5000/thing', '[::1]:5000/thing:latest', '[::1]:5000', 'thing'],
    ['ghcr.io/a/b-c_d.e:V1.2-x', 'ghcr.io/a/b-c_d.e:V1.2-x', 'ghcr.io', 'a/b-c_d.e'],
    [`busybox:1@${digest}`, `docker.io/library/busybox@${digest}`, 'docker.io', 'library/busybox'],
    ['Upper/thing', 'Upper/thing:latest', 'Upper', 'thing'],
  ] as const) {
    const reference = parseReference(text);
    assert.deepEqual([reference.name, reference.domain, reference.path], [name, domain, path], text);
  }
  for (const text of [
    '',
    'Busybox',
    'a//b',
    'busybox:',
    'busybox:ä',
    'https://a.b/c',
    '-a',
    'a/b@sha256:12',
    'a'.repeat(300),
    'a'.repeat(64),
  ])
    assert.throws(() => parseReference(text), InvalidArgumentError, text);
});

test('challenges', () => {
  assert.deepEqual(parseChallenges('Bearer realm="https://a/token",service="x y",scope="repository:a:pull,push"'), [
    { scheme: 'bearer', parameters: { realm: 'https://a/token', service: 'x y', scope: 'repository:a:pull,push' } },
  ]);
  assert.deepEqual(parseChallenges('Negotiate, Basic realm="a \\"b\\"", Bearer realm=x'), [
    { scheme: 'negotiate', parameters: {} },
    { scheme: 'basic', parameters: { realm: 'a "b"' } },
    { scheme: 'bearer', parameters: { realm: 'x' } },
  ]);
});

test('an image: resolved, its manifest and its layer', async () => {
  const registry = await scripted();
  const { manifest, layers } = registry.putImage('box', 'latest', [layer]);
  const box = await repository(`${registry.host}/box`);
  const descriptor = await box.resolve();
  assert.deepEqual(descriptor, { mediaType: TYPE.manifest, digest: manifest.digest, size: manifest.size });
  assert.equal((await box.manifest(descriptor)).bytes.length, manifest.size);
  assert.ok((await all(box.blob(layers[0]!, 0))).equals(layer));
  assert.equal(registry.requests('latest').length, 0, 'a tag is only asked about');
  const none = await repository(`${registry.host}/none`);
  await assert.rejects(
    none.resolve(),
    (error: Error) => error instanceof NotFoundError && error.message.includes('/none:latest'),
  );
});

test('a blob comes whole, however often the connection breaks', async () => {
  const registry = await scripted();
  const { layers } = registry.putImage('box', 'latest', [layer]);
  const [one] = layers;
  registry.fault = inTurn(
    one!.digest,
    Array.from({ length: 10 }, () => ({ cutAfter: 20_000 })),
  );
  const box = await repository(`${registry.host}/box`);
  assert.ok((await all(box.blob(one!, 0))).equals(layer));
  const ranges = registry.requests(one!.digest).map(({ headers }) => headers.range);
  assert.equal(ranges.length, 11);
  assert.ok(
    ranges.slice(1).every((range) => /^bytes=\d+-$/.test(range ?? '')),
    String(ranges),
  );

  registry.fault = inTurn(one!.digest, [{ cutAfter: 20_000 }, { ignoreRange: true }]);
  assert.ok((await all(box.blob(one!, 0))).equals(layer), 'where parts cannot be had');
  registry.fault = () => undefined;
  assert.ok((await all(box.blob(one!, 123_456))).equals(layer.subarray(123_456)), 'from the middle');

  registry.fault = ({ path }) => (path.endsWith(one!.digest) ? { cutAfter: 0 } : undefined);
  await assert.rejects(all(box.blob(one!, 0)), UnavailableError);
  registry.fault = inTurn(one!.digest, [{ lie: Buffer.concat([layer, layer]) }]);
  await assert.rejects(all(box.blob(one!, 0)), /gives more than the 300000 bytes/);
});

test('turned away for a while', async () => {
  const registry = await scripted();
  registry.putImage('box', 'latest', [layer]);
  const answers = [
    { status: 429, headers: { 'retry-after': '0' } },
    { status: 503 },
    { status: 500, body: '{"errors":[{"code":"UNKNOWN","message":"no disk"}]}' },
  ];
  let n = 0;
  registry.fault = () => answers[n++];
  const box = await repository(`${registry.host}/box`);
  assert.match((await box.resolve()).digest, /^sha256:/);
  assert.equal(registry.seen.length, 4);

  registry.fault = () => ({ status: 502 });
  await assert.rejects(
    box.resolve(),
    (error: Error) => error instanceof UnavailableError && error.message.includes('answers with status 502'),
  );
  registry.seen.length = 0;
  registry.fault = () => ({ status: 429, headers: { 'retry-after': '3600' } });
  await assert.rejects(box.resolve(), ResourceExhaustedError);
  assert.equal(registry.seen.length, 1, 'nobody waits for an hour');
  registry.fault = () => ({ status: 403 });
  await assert.rejects(box.resolve(), /does not allow it/);
});

test('a manifest of another digest is refused', async () => {
  const registry = await scripted();
  const { manifest } = registry.putImage('box', 'latest', [layer]);
  registry.fault = ({ path, method }) =>
    method === 'GET' && path.endsWith(manifest.digest) ? { lie: Buffer.from('{"layers":[],"config":{}}') } : undefined;
  const box = await repository(`${registry.host}/box`);
  await assert.rejects(
    box.manifest(manifest),
    (error: ClientError) => error.code === Code.DataLoss && error.message.includes('gives something else'),
  );
});

test('redirects: followed, without a password for another host, and to an end', async () => {
  const [registry, storage] = [await scripted(), await scripted()];
  const { layers } = registry.putImage('box', 'latest', [layer]);
  storage.blobs.set(layers[0]!.digest, layer);
  registry.auth = { scheme: 'basic', username: 'a', password: 'b' };
  registry.fault = ({ path }) => (path.includes('/blobs/') ? { redirect: `http://${storage.host}${path}` } : undefined);
  const box = await repository(`${registry.host}/box`, { auth: { username: 'a', password: 'b' } });
  await box.resolve();
  assert.ok((await all(box.blob(layers[0]!, 5))).equals(layer.subarray(5)));
  assert.equal(storage.seen[0]?.headers.authorization, undefined);
  assert.equal(storage.seen[0]?.headers.range, 'bytes=5-');
  registry.fault = ({ path }) => ({ redirect: path });
  await assert.rejects(box.resolve(), /redirects without an end/);
});

test('who asks: basic, a token, a refresh token, a token of a registry', async () => {
  const registry = await scripted();
  const { layers } = registry.putImage('box', 'latest', [layer]);
  const name = `${registry.host}/box`;
  const user = { username: 'someone', password: 'se:cret' };

  registry.auth = { scheme: 'basic', ...user };
  assert.match((await (await repository(name, { auth: user })).resolve()).digest, /^sha256/);
  await assert.rejects(
    (await repository(name)).resolve(),
    (error: Error) => error instanceof UnauthenticatedError && error.message.includes('hawser login'),
  );
  await assert.rejects((await repository(name, { auth: { ...user, password: 'x' } })).resolve(), UnauthenticatedError);

  registry.auth = { scheme: 'bearer' };
  const anonymous = await repository(name);
  registry.seen.length = 0;
  await anonymous.resolve();
  await Promise.all([all(anonymous.blob(layers[0]!, 0)), all(anonymous.blob(layers[0]!, 0))]);
  assert.equal(registry.requests('/token').length, 1, 'one token for all');
  assert.match(registry.requests('/token')[0]!.path, /service=test&scope=repository%3Abox%3Apull$/);

  registry.auth = { scheme: 'bearer', ...user };
  await (await repository(name, { auth: (host) => (host === registry.host ? user : undefined) })).resolve();
  await assert.rejects(
    (await repository(name, { auth: { ...user, password: 'x' } })).resolve(),
    /does not take the password of someone: log in again/,
  );
  registry.auth = { scheme: 'bearer', refresh: 'r1', username: 'nobody' };
  await (await repository(name, { auth: { identityToken: 'r1' } })).resolve();
  await (await repository(name, { auth: { registryToken: 'token-x' } })).resolve();
});

test('an abort ends it, also the waiting for another try', async () => {
  const registry = await scripted();
  const { layers } = registry.putImage('box', 'latest', [layer]);
  const box = await repository(`${registry.host}/box`);
  registry.fault = () => ({ until: new Promise(() => undefined) });
  const controller = new AbortController();
  const reading = all(box.blob(layers[0]!, 0, controller.signal));
  const resolving = box.resolve(controller.signal);
  setTimeout(() => controller.abort(), 20);
  await assert.rejects(reading, AbortError);
  await assert.rejects(resolving, AbortError);
  registry.fault = () => ({ status: 429, headers: { 'retry-after': '50' } });
  await assert.rejects(box.resolve(AbortSignal.timeout(20)), AbortError);
});

test('nobody there', async () => {
  const registry = await ScriptedRegistry.start();
  const { host } = registry;
  await registry.stop();
  await assert.rejects((await repository(`${host}/box`)).resolve(), /cannot be reached: nobody listens there/);
  await assert.rejects((await repository('no-such-host.invalid/box')).resolve(), UnavailableError);
});

function hosts(domain: string, text: string, name = domain.replace(/:(\d+)$/, '_$1_')): string {
  const root = mkdtempSync(join(dir, 'certs.d-'));
  mkdirSync(join(root, name));
  writeFileSync(join(root, name, 'hosts.toml'), text);
  return root;
}

test('hosts without files, and as hosts.toml has them', async () => {
  const bases = async (domain: string, root = nowhere): Promise<string[]> =>
    (await hostsOf(domain, root)).map(({ base }) => base);
  assert.deepEqual(await bases('docker.io'), ['https://registry-1.docker.io/v2']);
  assert.deepEqual(await bases('ghcr.io'), ['https://ghcr.io/v2']);
  for (const local of ['localhost:5000', '127.0.0.1:5000', '[::1]:5000'])
    assert.deepEqual(await bases(local), [`http://${local}/v2`]);
  assert.deepEqual(await bases('localhost:443'), ['https://localhost/v2']);

  const text = `
server = "https://real.example/"
ca = "ca.pem"
[host."http://mirror:80/a"]
  capabilities = ["pull"]
  client = [["c.cert", "/k.key"]]
  [host."http://mirror:80/a".header]
    X-One = ["1", "2"]
[host."other.example/v2/"]
  skip_verify = true
[host."https://third/x"]
  override_path = true
  client = "both.pem"
`;
  const root = hosts('a.example:81', text);
  const found = await hostsOf('a.example:81', root);
  const place = join(root, 'a.example_81_');
  assert.deepEqual(
    found.map(({ base, capabilities, mirrorOf }) => [base, capabilities.length, mirrorOf]),
    [
      ['http://mirror/a/v2', 1, 'a.example:81'],
      ['https://other.example/v2', 3, 'a.example:81'],
      ['https://third/x', 3, 'a.example:81'],
      ['https://real.example/v2', 3, 'a.example:81'],
    ],
  );
  assert.deepEqual(found[0]!.certificates, { client: [[join(place, 'c.cert'), '/k.key']] });
  assert.deepEqual(found[0]!.headers, { 'X-One': ['1', '2'] });
  assert.deepEqual(found[1]!.certificates, { skipVerify: true });
  assert.deepEqual(found[2]!.certificates, { client: [[join(place, 'both.pem'), join(place, 'both.pem')]] });
  assert.deepEqual(found[3]!.certificates, { ca: [join(place, 'ca.pem')] });
  assert.deepEqual(await bases('docker.io', hosts('docker.io', '[host."http://m"]')), [
    'http://m/v2',
    'https://registry-1.docker.io/v2',
  ]);
  assert.deepEqual(await bases('b.example', hosts('', '[host."http://m"]', '_default')), [
    'http://m/v2',
    'https://b.example/v2',
  ]);
  for (const [wrong, says] of [
    ['server = [', /hosts\.toml: /],
    ['[host."http://m"]\ncapabilities = ["fly"]', /there is no capability "fly"/],
    ['server = "http://a b"', /is no address of a host/],
  ] as const)
    await assert.rejects(
      hostsOf('c.example', hosts('c.example', wrong)),
      (error: Error) => error instanceof InvalidArgumentError && says.test(error.message),
    );
});

test('mirrors: asked first, told for whom, left when they have nothing or something else', async () => {
  const [mirror, registry] = [await scripted(), await scripted()];
  const { manifest, layers } = registry.putImage('box', 'latest', [layer]);
  const hostsDir = hosts(registry.host, `server = "http://${registry.host}"\n[host."http://${mirror.host}"]\n`);
  const box = await repository(`${registry.host}/box`, { hostsDir });
  assert.equal((await box.resolve()).digest, manifest.digest);
  assert.match(mirror.seen[0]!.path, new RegExp(`ns=${registry.host.replace(':', '%3A')}$`));
  assert.doesNotMatch(registry.seen[0]!.path, /ns=/);

  mirror.putImage('box', 'latest', [layer]);
  mirror.fault = inTurn(layers[0]!.digest, [{ cutAfter: 100_000 }, { status: 404 }]);
  assert.ok((await all(box.blob(layers[0]!, 0))).equals(layer), 'half of each');
  assert.equal(registry.requests(layers[0]!.digest)[0]?.headers.range?.startsWith('bytes='), true);

  mirror.fault = ({ path }) => (path.includes('/blobs/') ? { lie: Buffer.alloc(layer.length) } : undefined);
  assert.notEqual(digestOf(await all(box.blob(layers[0]!, 0))), layers[0]!.digest);
  assert.equal(box.servedBy(layers[0]!.digest), mirror.host);
  assert.equal(box.blame(layers[0]!.digest), true);
  assert.ok((await all(box.blob(layers[0]!, 0))).equals(layer));
  assert.equal(box.blame(layers[0]!.digest), false);
  await registry.stop();
  mirror.manifests.clear();
  await assert.rejects(box.resolve(), /before that: image \S+: 127\.0\.0\.1:\d+ has none/);
});

test("certificates: an authority of one's own, a client's, none at all", async () => {
  const openssl = (...args: string[]): Buffer => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const [cert, key] = [join(dir, 'ca.crt'), join(dir, 'ca.key')];
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    key,
    '-out',
    cert,
    '-days',
    '2',
    '-subj',
    '/CN=127.0.0.1',
    '-addext',
    'subjectAltName=IP:127.0.0.1',
  );
  const pem = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  const registry = await scripted(pem);
  registry.putImage('box', 'latest', [layer]);
  const name = `${registry.host}/box`;
  const server = `server = "https://${registry.host}"\n`;
  await (await repository(name, { hostsDir: hosts(registry.host, `${server}ca = "${cert}"`) })).resolve();
  await (await repository(name, { hostsDir: hosts(registry.host, `${server}skip_verify = true`) })).resolve();
  await assert.rejects(
    (await repository(name, { hostsDir: hosts(registry.host, server) })).resolve(),
    /its certificate is signed by nobody that is known here/,
  );
  // As docker has them: certificates alone.
  const root = mkdtempSync(join(dir, 'docker-certs-'));
  mkdirSync(join(root, registry.host));
  writeFileSync(join(root, registry.host, 'ca.crt'), pem.cert);
  await (await repository(name, { hostsDir: root })).resolve();

  const strict = await scripted({ ...pem, ca: pem.cert });
  strict.putImage('box', 'latest', [layer]);
  const both = `server = "https://${strict.host}"\nca = "${cert}"\n`;
  await (
    await repository(`${strict.host}/box`, { hostsDir: hosts(strict.host, `${both}client = [["${cert}", "${key}"]]`) })
  ).resolve();
  await assert.rejects(
    (await repository(`${strict.host}/box`, { hostsDir: hosts(strict.host, both) })).resolve(),
    UnavailableError,
  );
  await assert.rejects(
    (
      await repository(`${strict.host}/box`, { hostsDir: hosts(strict.host, `${both}client = "/no/such.pem"`) })
    ).resolve(),
    /certificate \/no\/such\.pem cannot be read/,
  );
});

test("docker's config.json: kept, read, forgotten, and all else left", async () => {
  const path = join(dir, 'docker', 'config.json');
  assert.equal(await credentialsOf('a.example', path), undefined);
  const someone = { username: 'some', password: 'a:b' };
  assert.deepEqual(await storeCredentials('a.example', someone, path), { helper: undefined, path });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(await credentialsOf('a.example', path), someone);
  writeFileSync(path, JSON.stringify({ detachKeys: 'x', ...(JSON.parse(readFileSync(path, 'utf8')) as object) }));
  await storeCredentials('docker.io', { identityToken: 't' }, path);
  const config = JSON.parse(readFileSync(path, 'utf8')) as { detachKeys: string; auths: object };
  assert.equal(config.detachKeys, 'x');
  assert.deepEqual(Object.keys(config.auths), ['a.example', 'https://index.docker.io/v1/']);
  assert.deepEqual(await credentialsOf('registry-1.docker.io', path), { identityToken: 't' });
  assert.equal(await eraseCredentials('a.example', path), true);
  assert.equal(await eraseCredentials('a.example', path), false);
  assert.equal(await credentialsOf('a.example', path), undefined);

  writeFileSync(
    path,
    JSON.stringify({ auths: { 'https://b.example/v1/': { auth: Buffer.from('u:p').toString('base64') } } }),
  );
  assert.deepEqual(await credentialsOf('b.example', path), { username: 'u', password: 'p' });
  for (const wrong of ['{', '[]', '{"auths":{"c":{"auth":"eA=="}}}']) {
    writeFileSync(path, wrong);
    await assert.rejects(credentialsOf('c', path), InvalidArgumentError);
  }
});

test('credential helpers', async (context) => {
  const bin = mkdtempSync(join(dir, 'bin-'));
  const [kept, path] = [join(bin, 'kept'), join(bin, 'config.json')];
  const helper = join(bin, 'docker-credential-test');
  writeFileSync(
    helper,
    `#!/bin/sh
case $1 in
store) cat >'${kept}' ;;
get) server=$(cat); grep -q "\\"$server\\"" '${kept}' 2>/dev/null && cat '${kept}' || { echo 'credentials not found in native keychain'; exit 1; } ;;
erase) rm -f '${kept}' ;;
esac
`,
  );
  chmodSync(helper, 0o755);
  const before = process.env.PATH;
  process.env.PATH = `${bin}:${before}`;
  context.after(() => (process.env.PATH = before));
  writeFileSync(path, JSON.stringify({ credHelpers: { 'b.example': 'none' }, credsStore: 'test' }));
  assert.equal(await credentialsOf('a.example', path), undefined);
  assert.equal((await storeCredentials('a.example', { identityToken: 'tok' }, path)).helper, 'test');
  assert.deepEqual(await credentialsOf('a.example', path), { identityToken: 'tok' });
  assert.doesNotMatch(readFileSync(path, 'utf8'), /tok"/);
  assert.equal(await eraseCredentials('a.example', path), true);
  assert.equal(existsSync(kept), false);
  await assert.rejects(
    credentialsOf('b.example', path),
    /docker-credential-none get fails: there is no such program in PATH/,
  );
});

test("by the environment's proxy, but never to this machine itself", async (context) => {
  const registry = await scripted();
  registry.putImage('box', 'latest', [layer]);
  const asked: string[] = [];
  const proxy = createServer().on('connect', (request, socket: Socket) => {
    asked.push(request.url ?? '');
    const [host, port] = registry.host.split(':');
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    for (const end of [socket, onward]) end.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const before = { ...process.env };
  context.after(async () => {
    process.env = before;
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  });
  for (const name of ['HTTPS_PROXY', 'https_proxy', 'http_proxy', 'NO_PROXY', 'no_proxy']) delete process.env[name];
  process.env.HTTP_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const hostsDir = hosts('registry.invalid', 'server = "http://registry.invalid"');
  await (await repository('registry.invalid/box', { hostsDir })).resolve();
  assert.deepEqual(asked, ['registry.invalid:80']);
  await (await repository(`${registry.host}/box`)).resolve();
  process.env.NO_PROXY = '.invalid';
  await assert.rejects((await repository('registry.invalid/box', { hostsDir })).resolve(), UnavailableError);
  assert.equal(asked.length, 1);
});
