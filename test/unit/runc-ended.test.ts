import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { removeEnded } from '../../src/runc/ended.js';
import { tempDir } from './fixtures/support.js';

const PID = 1234;

/** state.json, as far as the tests change it. */
interface Written {
  init_process_pid: number;
  rootless: boolean;
  intel_rdt_path: string;
  cgroup_paths: Record<string, string>;
  config?: {
    namespaces: { type: string; path: string }[];
    cgroups: { Systemd?: boolean; Rootless: boolean };
    Hooks: Record<string, unknown> | null;
  };
  [later: string]: unknown;
}

interface Laid {
  dir: string;
  state: string;
  cgroups: string[];
}

/** What runc leaves of a container, its cgroups being any directories. */
function lay(t: TestContext, edit: (state: Written) => void = () => undefined): Laid {
  const dir = tempDir(t);
  const state = join(dir, 'c');
  const cgroups = ['memory', 'pids'].map((name) => join(dir, name));
  for (const path of [state, ...cgroups]) mkdirSync(path);
  const content: Written = {
    id: 'c',
    init_process_pid: PID,
    init_process_start: 5,
    created: '2026-01-01T00:00:00Z',
    rootless: false,
    intel_rdt_path: '',
    cgroup_paths: { memory: cgroups[0]!, pids: cgroups[1]!, cpu: join(dir, 'gone'), cpuacct: join(dir, 'gone') },
    namespace_paths: {},
    external_descriptors: [],
    config: {
      namespaces: [
        { type: 'NEWNS', path: '' },
        { type: 'NEWPID', path: '' },
      ],
      cgroups: { Systemd: false, Rootless: false },
      Hooks: { poststop: null, poststart: null },
    },
  };
  edit(content);
  writeFileSync(join(state, 'state.json'), JSON.stringify(content));
  writeFileSync(join(state, 'notify.sock'), '');
  return { dir, state, cgroups };
}

test('a plain container is removed, with its cgroups', async (t) => {
  const { state, cgroups } = lay(t);
  assert.equal(await removeEnded(state, PID), true);
  assert.deepEqual([state, ...cgroups].filter(existsSync), []);
});

test('one with an empty list of hooks is plain', async (t) => {
  assert.equal(
    await removeEnded(
      lay(t, (state) => {
        state.config!.Hooks!.poststop = [];
      }).state,
      PID,
    ),
    true,
  );
});

for (const [what, edit] of Object.entries<(state: Written) => void>({
  'another init': (state) => {
    state.init_process_pid = PID + 1;
  },
  'a pid namespace that others are in': (state) => {
    state.config!.namespaces[1]!.path = '/proc/1/ns/pid';
  },
  "the host's pids": (state) => {
    state.config!.namespaces.pop();
  },
  'a hook for its end': (state) => {
    state.config!.Hooks!.poststop = [{ path: '/bin/true' }];
  },
  'no word on hooks': (state) => {
    state.config!.Hooks = null;
  },
  'hooks of an unknown form': (state) => {
    state.config!.Hooks = { Poststop: [{ path: '/bin/true' }] };
  },
  'cgroups of several hierarchies by systemd': (state) => {
    state.config!.cgroups.Systemd = true;
  },
  'no word on systemd': (state) => {
    delete state.config!.cgroups.Systemd;
  },
  'a rootless user': (state) => {
    state.rootless = true;
  },
  'a share of the cache': (state) => {
    state.intel_rdt_path = '/sys/fs/resctrl/c';
  },
  'something that only a later runc knows': (state) => {
    state.scheduler_group = 1;
  },
  'a relative cgroup': (state) => {
    state.cgroup_paths.memory = 'memory';
  },
  'no configuration': (state) => {
    delete state.config;
  },
})) {
  test(`a container with ${what} is left to runc, as it is`, async (t) => {
    const { dir, state, cgroups } = lay(t, edit);
    assert.equal(await removeEnded(state, PID, dir), false);
    assert.ok([join(state, 'state.json'), ...cgroups].every(existsSync));
  });
}

test('a container that runc knows nothing of is left to it', async (t) => {
  assert.equal(await removeEnded(join(tempDir(t), 'c'), PID), false);
});

test('a cgroup that is not empty is left to runc, with the state that says where it is', async (t) => {
  const { state, cgroups } = lay(t);
  mkdirSync(join(cgroups[1]!, 'inner'));
  assert.equal(await removeEnded(state, PID), false);
  assert.deepEqual(readdirSync(state).sort(), ['notify.sock', 'state.json']);
});

test('a directory in the state is none that runc makes, and left to it', async (t) => {
  const { state } = lay(t);
  mkdirSync(join(state, 'x'));
  assert.equal(await removeEnded(state, PID), false);
  assert.ok(existsSync(join(state, 'state.json')));
});

/** A container whose cgroup systemd has made, as it is when its last process has ended. */
function layScope(t: TestContext): Laid & { scope: string; units: string; unit: string } {
  const laid = lay(t, (state) => {
    state.config!.cgroups.Systemd = true;
    const [, slice] = Object.values(state.cgroup_paths);
    state.cgroup_paths = { '': join(slice!, 'docker-c.scope') };
  });
  const scope = join(laid.cgroups[1]!, 'docker-c.scope');
  const units = join(laid.dir, 'transient');
  const unit = join(units, 'docker-c.scope');
  for (const path of [scope, units]) mkdirSync(path);
  writeFileSync(unit, '');
  return { ...laid, scope, units, unit };
}

test("a scope that systemd has forgotten: runc's state is removed, and nothing else", async (t) => {
  const { state, scope, units, unit, cgroups } = layScope(t);
  rmdirSync(scope);
  rmSync(unit);
  assert.equal(await removeEnded(state, PID, units), true);
  assert.ok(!existsSync(state));
  assert.ok(cgroups.every(existsSync));
});

test('a scope that systemd is about to forget is waited for', async (t) => {
  const { state, scope, units, unit } = layScope(t);
  const removed = removeEnded(state, PID, units);
  rmdirSync(scope);
  rmSync(unit);
  assert.equal(await removed, true);
  assert.ok(!existsSync(state));
});

for (const [what, edit] of Object.entries<(laid: ReturnType<typeof layScope>) => void>({
  'that is still there': () => undefined,
  'that has failed': ({ scope }) => rmdirSync(scope),
  'whose cgroup is still there': ({ unit }) => rmSync(unit),
  'of a systemd that is not to be seen': ({ scope, units }) => {
    rmdirSync(scope);
    rmSync(units, { recursive: true });
  },
})) {
  test(`a scope ${what} is left to runc`, async (t) => {
    const laid = layScope(t);
    edit(laid);
    assert.equal(await removeEnded(laid.state, PID, laid.units), false);
    assert.ok(existsSync(join(laid.state, 'state.json')));
  });
}
