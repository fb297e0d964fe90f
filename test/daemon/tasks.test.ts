/** Tasks in shims: real ones, and made up ones that misbehave. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errdefs, millis } from '../../src/api/full.js';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, within } from '../support/eventually.js';
import { stockDir } from '../support/daemons.js';
import { isAlive } from '../support/machine.js';
import { labTest, OWN_SHIM, refused, STATUS } from '../support/task-lab.js';

for (const [name, shim] of [
  ['our shim', OWN_SHIM],
  ['the Go shim', join(stockDir, 'containerd-shim-runc-v2')],
] as const) {
  labTest(`a container's life in ${name}`, async (lab) => {
    const { task, pid } = await lab.manager.create(
      lab.request('life', { shim, args: ['sh', '-c', 'trap "exit 5" TERM; while :; do sleep 0.1; done'] }),
    );
    assert.ok(isAlive(pid));
    assert.equal((await task.process('', assert.fail)).status, STATUS.CREATED);
    assert.equal(await task.start(), pid);
    assert.equal((await task.process('', assert.fail)).status, STATUS.RUNNING);

    const bundle = lab.bundle('life');
    assert.equal(statSync(bundle).mode & 0o7777, 0o700);
    assert.equal(statSync(join(bundle, 'rootfs')).mode & 0o7777, 0o711);
    assert.equal(readlinkSync(join(bundle, 'work')), lab.work('life'));
    assert.equal(readFileSync(join(bundle, 'shim-binary-path'), 'utf8'), shim);
    assert.equal(statSync(join(bundle, 'shim-binary-path')).mode & 0o7777, 0o600);
    assert.ok(lstatSync(join(bundle, 'log')).isFIFO());
    const { address, protocol } = JSON.parse(readFileSync(join(bundle, 'bootstrap.json'), 'utf8')) as {
      address: string;
      protocol: string;
    };
    assert.match(address, /^unix:\/\/\/run\/containerd\/s\/[0-9a-f]{64}$/);
    assert.equal(protocol, 'ttrpc');

    const process = { args: ['sh', '-c', 'exit 3'], cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 } };
    await task.exec(
      'side',
      {
        type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
        value: Buffer.from(JSON.stringify(process)),
      },
      { stdin: '', stdout: '', stderr: '', terminal: false },
    );
    await task.start('side');
    assert.equal((await task.wait('side')).exitStatus, 3);
    assert.equal((await task.deleteProcess('side')).exitStatus, 3);
    await task.pause();
    assert.equal((await task.process('', assert.fail)).status, STATUS.PAUSED);
    await task.resume();
    assert.ok((await task.pids()).some((one) => one.pid === pid));
    assert.ok((await task.stats())?.value?.length);
    await refused(lab.manager.delete(task), Code.Unknown, /cannot delete a running process/);

    await eventually('the trap to be set', async () => (await task.pids()).length > 1);
    await task.kill(15, false);
    assert.equal((await task.wait()).exitStatus, 5);
    assert.equal((await task.process('', assert.fail)).status, STATUS.STOPPED);
    const exit = await lab.manager.delete(task);
    assert.deepEqual([exit.pid, exit.exitStatus], [pid, 5]);
    assert.throws(() => lab.manager.get(lab.namespace, 'life'), /^TtrpcError: task life not found$/);
    assert.deepEqual(lab.left(), []);
    await eventually('all events', () => lab.story('life').at(-1) === '/tasks/delete');
    assert.deepEqual(lab.story('life'), [
      '/tasks/create',
      '/tasks/start',
      '/tasks/exec-added',
      '/tasks/exec-started',
      '/tasks/exit side 3',
      '/tasks/paused',
      '/tasks/resumed',
      '/tasks/exit life 5',
      '/tasks/delete',
    ]);
  });

  labTest(`${name} is killed under a running container`, async (lab) => {
    const task = await lab.run('orphan', { shim });
    const { pid } = await task.state();
    const { shimPid } = await task.routed((client) => client.Connect({ id: 'orphan' }));
    const waiting = task.wait();
    process.kill(shimPid, 'SIGKILL');
    assert.equal((await within('the wait to end', waiting)).exitStatus, 137);
    await eventually('the events', () => lab.story('orphan').at(-1) === '/tasks/delete');
    assert.deepEqual(lab.story('orphan').slice(-2), ['/tasks/exit orphan 137', '/tasks/delete']);
    assert.ok(!isAlive(pid!));
    assert.equal(lab.manager.find(lab.namespace, 'orphan'), undefined);
    await eventually('the bundle to go', () => lab.left().length === 0);
    // The id is free again, at once.
    await lab.manager.delete((await lab.manager.create(lab.request('orphan', { shim }))).task);
  });
}

labTest('the spec reaches the bundle byte for byte, and mapped roots get through', async (lab) => {
  const { binary } = await lab.playShim({});
  const spec = Buffer.from(
    '{"linux": {"gidMappings": [{"containerID": 0, "hostID": 4321, "size": 1}], "x": 18446744073709551615}}',
  );
  const { task, pid } = await lab.manager.create(lab.request('mapped', { shim: binary, spec }));
  assert.equal(pid, 42);
  assert.deepEqual(readFileSync(join(lab.bundle('mapped'), 'config.json')), spec);
  const { gid, mode } = statSync(lab.bundle('mapped'));
  assert.deepEqual([gid, mode & 0o7777], [4321, 0o710]);
  await lab.manager.delete(task);
});

labTest('what a shim is told', async (lab) => {
  const seen: unknown[] = [];
  const { binary } = await lab.playShim({
    Create: (request) => {
      seen.push(request);
      return { pid: 1 };
    },
  });
  const wrapper = lab.script(`{ env; pwd; cat | od -An -c | tr -d ' \\n'; } >${lab.dir}/told; exec ${binary} "$@"`);
  const options = { type_url: 'some.Options', value: Buffer.from('xyz') };
  const { task } = await lab.manager.create(
    lab.request('told', {
      shim: wrapper,
      options,
      io: { stdin: 'i', stdout: 'o', stderr: 'e', terminal: true },
      checkpoint: '/c',
    }),
  );
  await lab.manager.delete(task);
  const told = readFileSync(join(lab.dir, 'told'), 'utf8');
  for (const line of [
    'GOMAXPROCS=2',
    `TTRPC_ADDRESS=${lab.dir}/d.sock.ttrpc`,
    `GRPC_ADDRESS=${lab.dir}/d.sock`,
    `NAMESPACE=${lab.namespace}`,
    'MAX_SHIM_VERSION=2',
    'LAB_VARIABLE=a=b',
    lab.bundle('told'),
  ]) {
    assert.ok(told.split('\n').includes(line), `${line} in ${told}`);
  }
  assert.match(told, /some\.Options.*xyz/);
  const calls = readFileSync(`${wrapper}.calls`, 'utf8').trim().split('\n');
  const common = `-namespace ${lab.namespace} -address ${lab.dir}/d.sock -publish-binary /bin/true -id told`;
  assert.deepEqual(calls, [`${common} -debug start`, `${common} -bundle ${lab.bundle('told')} -debug delete`]);
  const [request] = seen as [
    { bundle: string; stdin: string; terminal: boolean; checkpoint: string; options: { value: Uint8Array } },
  ];
  assert.deepEqual(
    [request.bundle, request.stdin, request.terminal, request.checkpoint],
    [lab.bundle('told'), 'i', true, '/c'],
  );
  assert.equal(Buffer.from(request.options.value).toString(), 'xyz');
});

labTest('answers in JSON, and a version that came later', async (lab) => {
  const asJson = (version: number) => (address: string) => JSON.stringify({ version, address, protocol: 'ttrpc' });
  const { binary } = await lab.playShim({}, { answer: asJson(2) });
  await lab.manager.delete((await lab.manager.create(lab.request('json', { shim: binary }))).task);
  const late = await lab.playShim({}, { answer: asJson(4) });
  await refused(
    lab.manager.create(lab.request('json', { shim: late.binary })),
    Code.Unimplemented,
    /unsupported shim version \(4\)/,
  );
  assert.deepEqual(lab.left(), []);
});

const bad: [string, string, RegExp][] = [
  [
    'prints rubbish',
    'printf "one two\\nthree"',
    /failed to start shim: start failed: the shim printed "one two\\nthree", which is no address/,
  ],
  ['prints nothing', ':', /the shim printed nothing/],
  ['fails', 'echo broken; exit 3', /failed to start shim: start failed: broken: exit status 3$/],
  ['lies', 'printf "unix:///nowhere/at.all"', /says it listens at unix:\/\/\/nowhere\/at\.all, but: connect ENOENT/],
  ['prints what could be a name', 'printf hello', /says it listens at hello, but: connect ECONNREFUSED/],
  ['prints broken JSON', 'printf "{"', /neither an address nor JSON/],
];
for (const [what, script, text] of bad) {
  labTest(`a shim that ${what}`, async (lab) => {
    const shim = lab.script(script);
    await refused(
      lab.manager.create(lab.request('bad', { shim })),
      text.source.includes('listens') ? Code.Unavailable : Code.Unknown,
      text,
    );
    assert.deepEqual(lab.left(), []);
    assert.match(readFileSync(`${shim}.calls`, 'utf8'), / start\n.* delete\n$/);
    assert.deepEqual(lab.story('bad'), []);
  });
}

labTest('a shim that never answers is killed with all it started', async (lab) => {
  const manager = lab.newManager({ start: 300 });
  const shim = lab.script(`sleep 1000 & echo $! >${lab.dir}/pid; wait`);
  await refused(
    manager.create(lab.request('mute', { shim })),
    Code.Unknown,
    /gave no answer within 0\.3 s and was killed/,
  );
  const pid = Number(readFileSync(join(lab.dir, 'pid'), 'utf8'));
  await eventually('what it started to go', () => !isAlive(pid));
  assert.deepEqual(lab.left(), []);
});

labTest('a shim whose child keeps its output is no reason to wait', async (lab) => {
  const { binary } = await lab.playShim({});
  const shim = lab.script(`sleep 5 & ${binary} "$@"`);
  await lab.manager.delete((await within('create', lab.manager.create(lab.request('kept', { shim })), 4_000)).task);
});

labTest('a client that gives up takes the start with it', async (lab) => {
  const shim = lab.script(`echo $$ >${lab.dir}/pid; sleep 1000`);
  const abort = new AbortController();
  const creating = lab.manager.create(lab.request('gone', { shim }), { signal: abort.signal });
  const pid = await eventually('the start', () =>
    existsSync(join(lab.dir, 'pid')) ? Number(readFileSync(join(lab.dir, 'pid'), 'utf8')) : undefined,
  );
  abort.abort();
  await refused(creating, Code.Unknown, /context canceled/);
  assert.ok(!isAlive(pid));
  assert.deepEqual(lab.left(), []);
});

labTest('a binary that is missing, and one that cannot run', async (lab) => {
  await refused(
    lab.manager.create(lab.request('no', { shim: '/no/such/shim' })),
    Code.Unknown,
    /^failed to start shim: failed to resolve runtime path: runtime "\/no\/such\/shim" binary not installed/,
  );
  await refused(
    lab.manager.create(lab.request('no', { shim: 'io.containerd.nosuch.v2' })),
    Code.Unknown,
    /binary not installed "containerd-shim-nosuch-v2": file does not exist/,
  );
  writeFileSync(join(lab.dir, 'text'), 'nothing', { mode: 0o644 });
  await refused(
    lab.manager.create(lab.request('no', { shim: join(lab.dir, 'text') })),
    Code.Unknown,
    /permission denied/,
  );
  assert.deepEqual(lab.left(), []);
});

labTest('a shim that refuses to create is told to end, and its words come through', async (lab) => {
  const calls: string[] = [];
  const { binary } = await lab.playShim({
    Create: () => {
      throw errdefs.invalidArgument('no such thing');
    },
    Delete: () => {
      calls.push('delete');
      throw errdefs.notFound('container not created');
    },
    Shutdown: () => {
      calls.push('shutdown');
      return {};
    },
  });
  await refused(
    lab.manager.create(lab.request('refused', { shim: binary })),
    Code.InvalidArgument,
    /^failed to create shim task: no such thing: invalid argument$/,
  );
  assert.deepEqual(calls, ['delete', 'shutdown']);
  assert.deepEqual(lab.left(), []);
  assert.deepEqual(lab.story('refused'), []);
});

labTest('a shim that dies while it creates leaves nothing, and no event', async (lab) => {
  const shim = await lab.playShim({
    Create: () => {
      shim.die();
      return { pid: 1 };
    },
  });
  await refused(lab.manager.create(lab.request('dies', { shim: shim.binary })), Code.Unknown, /died while creating it/);
  assert.deepEqual(lab.left(), []);
  assert.deepEqual(lab.story('dies'), []);
});

labTest('a shim that gives no state leaves the status unknown, and holds up nobody', async (lab) => {
  const manager = lab.newManager({ state: 200 });
  const mute = await lab.playShim({ State: () => new Promise(() => undefined) });
  const { task } = await manager.create(lab.request('mute', { shim: mute.binary }));
  const failures: Error[] = [];
  const { status, id } = await task.process('', (error) => void failures.push(error));
  assert.deepEqual([status, id], [undefined, 'mute']);
  assert.match(failures[0]!.message, /deadline exceeded/);
  await manager.delete(task);
});

labTest('the shim says how it ended, when it is gone', async (lab) => {
  // pid 7, status 9, exited at second 5
  const shim = await lab.playShim({}, { deleted: `printf '\\010\\007\\020\\011\\032\\002\\010\\005'` });
  const { task } = await lab.manager.create(lab.request('word', { shim: shim.binary }));
  shim.die();
  const last = await within('the clean-up', task.gone);
  assert.deepEqual([last.pid, last.exitStatus, millis(last.exitedAt)], [7, 9, 5000]);
  await eventually('events', () => lab.story('word').length === 2);
  assert.deepEqual(lab.story('word'), ['/tasks/exit word 9', '/tasks/delete']);
});

labTest('a clean-up that fails is told as exit 255, and done again by the next task', async (lab) => {
  const shim = await lab.playShim({}, { deleted: `[ -e ${lab.dir}/well ] || { echo sick >&2; false; }` });
  const { task } = await lab.manager.create(lab.request('sick', { shim: shim.binary }));
  shim.die();
  assert.equal((await within('the clean-up', task.gone)).exitStatus, 255);
  assert.ok(existsSync(lab.bundle('sick')));
  writeFileSync(join(lab.dir, 'well'), '');
  const { binary } = await lab.playShim({});
  const next = await lab.manager.create(lab.request('sick', { shim: binary }));
  assert.equal(readFileSync(`${shim.binary}.calls`, 'utf8').match(/ delete$/gm)?.length, 2);
  await lab.manager.delete(next.task);
});

labTest('a shim that dies while it deletes', async (lab) => {
  const shim = await lab.playShim({
    Delete: () => {
      shim.die();
      return { pid: 1 };
    },
  });
  const { task } = await lab.manager.create(lab.request('late', { shim: shim.binary }));
  const exit = await lab.manager.delete(task);
  assert.equal(exit.exitStatus, 137);
  assert.ok(millis(exit.exitedAt));
  await refused(lab.manager.delete(task), Code.NotFound, /not found/);
  assert.deepEqual(lab.left(), []);
});

labTest('one id, asked for twice', async (lab) => {
  const { binary } = await lab.playShim({});
  const [first, second] = await Promise.allSettled([
    lab.manager.create(lab.request('one', { shim: binary })),
    lab.manager.create(lab.request('one', { shim: binary })),
  ]);
  assert.equal(first.status, 'fulfilled');
  assert.ok(second.status === 'rejected');
  assert.match(String(second.reason), /task one: already exists/);
  const task = lab.manager.get(lab.namespace, 'one');
  const [gone, late] = await Promise.allSettled([lab.manager.delete(task), lab.manager.delete(task)]);
  assert.equal(gone.status, 'fulfilled');
  assert.ok(late.status === 'rejected');
  assert.match(String(late.reason), /task one not found$/);
});

labTest('ids and specs that cannot be', async (lab) => {
  const { binary } = await lab.playShim({});
  await refused(lab.manager.create(lab.request('../up', { shim: binary })), Code.InvalidArgument, /task id/);
  await refused(
    lab.manager.create(lab.request('broken', { shim: binary, spec: Buffer.from('{') })),
    Code.InvalidArgument,
    /the spec of container broken is not valid JSON/,
  );
  assert.deepEqual(lab.left(), []);
});

labTest('what a shim logs goes to the log, with the id', async (lab) => {
  const task = await lab.manager.create(lab.request('chatty', { shim: (await lab.playShim({})).binary }));
  writeFileSync(join(lab.bundle('chatty'), 'log'), 'first line\nsecond');
  await eventually('the line', () => lab.logged.some(({ msg, id }) => msg === 'first line' && id === 'chatty'));
  await lab.manager.delete(task.task);
  await eventually('the rest', () => lab.logged.some(({ msg }) => msg === 'second'));
});
