/**
 * The bill of materials that goes with what is distributed, as CycloneDX has it (ECMA-424, JSON, version 1.6): Hawser, the packages
 * that its programs are bundled with, and what was built by others and lies beside them.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundledPackages } from '../licenses.js';
import { top, version } from '../version.js';

interface License {
  license: { id: string } | { name: string };
}

export interface Component {
  type: 'application' | 'library' | 'platform';
  'bom-ref': string;
  name: string;
  version: string;
  description?: string;
  purl?: string;
  hashes?: { alg: 'SHA-512' | 'SHA-256'; content: string }[];
  licenses?: (License | { expression: string })[];
  externalReferences?: { type: 'vcs' | 'website' | 'distribution'; url: string }[];
  components?: Component[];
}

export interface Sbom {
  bomFormat: 'CycloneDX';
  specVersion: '1.6';
  serialNumber: string;
  version: 1;
  metadata: { timestamp: string; component: Component; properties: { name: string; value: string }[] };
  components: Component[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

interface Manifest {
  name: string;
  version: string;
  license?: string;
}

/** @param integrity as npm has it, `sha512-` and base64 */
export function npmComponent(manifest: Manifest, integrity: string | undefined, type: Component['type']): Component {
  const { name, license } = manifest;
  const purl = `pkg:npm/${name.replace('@', '%40')}@${manifest.version}`;
  const hash = integrity?.startsWith('sha512-') ? Buffer.from(integrity.slice(7), 'base64').toString('hex') : undefined;
  return {
    type,
    'bom-ref': purl,
    name,
    version: manifest.version,
    purl,
    ...(hash === undefined ? {} : { hashes: [{ alg: 'SHA-512', content: hash }] }),
    ...(license === undefined ? {} : { licenses: licensesOf(license) }),
  };
}

/** A list of more than one is an expression of SPDX's. */
function licensesOf(license: string): NonNullable<Component['licenses']> {
  return /[ ()]/.test(license) ? [{ expression: license }] : [{ license: { id: license } }];
}

/** What the bundles are made of, as package-lock.json has it. */
export function bundledComponents(): Component[] {
  const lock = JSON.parse(readFileSync(join(top, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { integrity?: string } | undefined>;
  };
  const found = bundledPackages().map((place) =>
    npmComponent(
      JSON.parse(readFileSync(join(top, place, 'package.json'), 'utf8')) as Manifest,
      lock.packages[place]?.integrity,
      'library',
    ),
  );
  // One that is installed twice, at the same version, is one.
  return [...new Map(found.map((one) => [one['bom-ref'], one])).values()];
}

/**
 * @param platform what it is for, such as linux-amd64
 * @param parts what lies beside the bundles, built by others
 * @param when of the source, so that what is built twice is the same
 */
export function sbom(platform: string, parts: readonly Component[], when: Date): Sbom {
  const component: Component = {
    type: 'application',
    'bom-ref': `pkg:generic/hawser@${version}`,
    name: 'hawser',
    version,
    purl: `pkg:generic/hawser@${version}`,
    licenses: [{ license: { id: 'Apache-2.0' } }],
  };
  const components = [...bundledComponents(), ...parts];
  const content = {
    metadata: {
      timestamp: when.toISOString().replace(/\.\d+Z$/, 'Z'),
      component,
      properties: [{ name: 'hawser:platform', value: platform }],
    },
    components,
    dependencies: [
      { ref: component['bom-ref'], dependsOn: components.map((one) => one['bom-ref']) },
      ...components.map((one) => ({ ref: one['bom-ref'], dependsOn: [] })),
    ],
  };
  return { bomFormat: 'CycloneDX', specVersion: '1.6', serialNumber: serial(content), version: 1, ...content };
}

/** A UUID (RFC 9562, version 8) of what it lists: another list has another one. */
function serial(content: object): string {
  const hex = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  const variant = ((Number.parseInt(hex[16]!, 16) & 3) | 8).toString(16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
