/** For how long the runtime of a container may be asked. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Bundle } from '../../src/oci/bundle.js';
import type { RuntimePort } from '../../src/runc/index.js';
import type { ContainerRecord } from '../../src/shim/record/record.js';
import { ContainerRuntime } from '../../src/shim/task/container-runtime.js';

/** The signal at which commands of {@link ContainerRuntime.remover} are killed, for a container with this config.json. */
function removing(t: TestContext, config: string): AbortSignal {
  const path = mkdtempSync(join(tmpdir(), 'hawser-runtime-'));
  t.after(() => rmSync(path, { recursive: true }));
  writeFileSync(join(path, 'config.json'), config);
  let last: AbortSignal | undefined;
  const custom = {
    runtime: (_: ContainerRecord, signal: AbortSignal): RuntimePort => {
      last = signal;
      return {} as RuntimePort;
    },
  };
  type Shim = ConstructorParameters<typeof ContainerRuntime>[1];
  const shim = { custom, observations: {} } as unknown as Shim;
  new ContainerRuntime({ bundle: path } as ContainerRecord, shim, new Bundle(path)).remover();
  assert.ok(last);
  return last;
}

test('a removal has 30 s, and where it runs hooks ten minutes', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const hook = { path: '/bin/true' };
  const short = ['{}', '{"hooks":null}', '{"hooks":{"poststop":null}}', '{"hooks":{"poststop":[]}}', '{not json'].map(
    (config) => removing(t, config),
  );
  short.push(removing(t, JSON.stringify({ hooks: { createRuntime: [hook] } })));
  const long = removing(t, JSON.stringify({ hooks: { poststop: [hook] } }));
  t.mock.timers.tick(29_999);
  assert.ok(short.every(({ aborted }) => !aborted));
  t.mock.timers.tick(1);
  assert.ok(short.every(({ aborted }) => aborted));
  t.mock.timers.tick(569_999);
  assert.equal(long.aborted, false);
  t.mock.timers.tick(1);
  assert.equal(long.aborted, true);
});
