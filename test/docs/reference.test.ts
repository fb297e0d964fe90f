/** The API reference that `make docs` writes has all that the libraries export. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { top } from '../support/daemons.js';

const reference = join(top, 'dist/docs/hawser');

for (const room of ['client', 'shim', 'ttrpc', 'runc', 'api']) {
  test(`hawser/${room} is described, all that it exports`, async () => {
    assert.ok(existsSync(reference), `${reference} is missing: run 'make docs'`);
    // What two libraries export is described once.
    const described = new Set(
      readdirSync(reference, { recursive: true, encoding: 'utf8' }).map((path) => basename(path, '.md')),
    );
    if (room === 'api') described.add('errdefs');
    const exported = Object.keys((await import(join(top, `dist/${room}/index.js`))) as object);
    // Generated from protobuf's files, which describe themselves.
    const missing = exported.filter(
      (name) => !described.has(name) && !/^(containerd|google|runtimeoptions|Containerd\w+|Grpc\w+)$/i.test(name),
    );
    assert.deepEqual(missing, []);
  });
}
