import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharesPidNamespace, type Spec } from '../../src/oci/spec.js';

const shared: [string, unknown][] = [
  ['nothing at all', {}],
  ['no linux section', { annotations: {} }],
  ['a linux section that is null', { linux: null }],
  ['no namespaces', { linux: {} }],
  ['namespaces that are null', { linux: { namespaces: null } }],
  ['an empty list', { linux: { namespaces: [] } }],
  ['only other namespaces', { linux: { namespaces: [{ type: 'mount' }, { type: 'network' }] } }],
  ['the pid namespace of another', { linux: { namespaces: [{ type: 'pid', path: '/proc/12/ns/pid' }] } }],
  [
    'the pid namespace of another among others',
    { linux: { namespaces: [{ type: 'mount' }, { type: 'pid', path: '/proc/12/ns/pid' }] } },
  ],
];

const own: [string, unknown][] = [
  ['a new pid namespace', { linux: { namespaces: [{ type: 'pid' }] } }],
  ['an empty path', { linux: { namespaces: [{ type: 'pid', path: '' }] } }],
  ['a path that is null', { linux: { namespaces: [{ type: 'pid', path: null }] } }],
  [
    'a new one among others that are joined',
    { linux: { namespaces: [{ type: 'network', path: '/x' }, { type: 'pid' }] } },
  ],
];

for (const [what, spec] of shared)
  test(`bug 28: processes may outlive the init: ${what}`, () => assert.equal(sharesPidNamespace(spec as Spec), true));
for (const [what, spec] of own)
  test(`processes die with the init: ${what}`, () => assert.equal(sharesPidNamespace(spec as Spec), false));
