import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
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
  return { state, cgroups };
}

test('a plain container is removed, with its cgroups', (t) => {
  const { state, cgroups } = lay(t);
  assert.equal(removeEnded(state, PID), true);
  assert.deepEqual([state, ...cgroups].filter(existsSync), []);
});

test('one with an empty list of hooks is plain', (t) => {
  assert.equal(
    removeEnded(
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
  'cgroups by systemd': (state) => {
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
  test(`a container with ${what} is left to runc, as it is`, (t) => {
    const { state, cgroups } = lay(t, edit);
    assert.equal(removeEnded(state, PID), false);
    assert.ok([join(state, 'state.json'), ...cgroups].every(existsSync));
  });
}

test('a container that runc knows nothing of is left to it', (t) => {
  assert.equal(removeEnded(join(tempDir(t), 'c'), PID), false);
});

test('a cgroup that is not empty is left to runc, with the state that says where it is', (t) => {
  const { state, cgroups } = lay(t);
  mkdirSync(join(cgroups[1]!, 'inner'));
  assert.equal(removeEnded(state, PID), false);
  assert.deepEqual(readdirSync(state).sort(), ['notify.sock', 'state.json']);
});

test('a directory in the state is none that runc makes, and left to it', (t) => {
  const { state } = lay(t);
  mkdirSync(join(state, 'x'));
  assert.equal(removeEnded(state, PID), false);
  assert.ok(existsSync(join(state, 'state.json')));
});
