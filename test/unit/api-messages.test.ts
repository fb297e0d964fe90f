/** The bytes of messages, against those computed from containerd's own definitions (contract appendix A). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerd, google, pack, timestamp, ZERO_TIME } from '../../src/api/index.js';
import { hex } from './fixtures/support.js';

const { task, events, types, runc } = containerd;

function same(actual: Uint8Array, expected: string): void {
  assert.equal(Buffer.from(actual).toString('hex'), hex(expected).toString('hex'));
}

test('the zero time, alone and in a message', () => {
  same(google.protobuf.Timestamp.encode(ZERO_TIME).finish(), '08 80 92 b8 c3 98 fe ff ff ff 01');
  same(task.v2.StateResponse.encode({ exitedAt: ZERO_TIME }).finish(), '52 0b 08 80 92 b8 c3 98 fe ff ff ff 01');
});

test('DeleteResponse', () => {
  same(
    task.v2.DeleteResponse.encode({
      pid: 1240,
      exitStatus: 137,
      exitedAt: { seconds: 1_700_000_000, nanos: 5 },
    }).finish(),
    '08 d8 09 10 89 01 1a 08 08 80 e2 cf aa 06 10 05',
  );
});

test('a pid of -1, as Go writes it, is read', () => {
  assert.equal(task.v2.DeleteResponse.decode(hex('08 ff ff ff ff 0f')).pid, 4294967295);
  same(task.v2.DeleteResponse.encode({ pid: 4294967295 }).finish(), '08 ff ff ff ff 0f');
});

test('ConnectResponse and ConnectRequest, as in the ttrpc frames', () => {
  same(task.v2.ConnectResponse.encode({ shimPid: 1234, taskPid: 1240 }).finish(), '08 d2 09 10 d8 09');
  assert.equal(task.v2.ConnectRequest.decode(hex('0a 03 61 62 63')).id, 'abc');
});

test('BootstrapResult', () => {
  same(
    containerd.runtime.bootstrap.v1.BootstrapResult.encode({
      version: 3,
      address: 'unix:///run/containerd/s/0123',
      protocol: 'ttrpc',
    }).finish(),
    '08 03 12 1d 75 6e 69 78 3a 2f 2f 2f 72 75 6e 2f 63 6f 6e 74 61 69 6e 65 72 64 2f 73 2f 30 31 32 33 1a 05 74 74 72 70 63',
  );
});

test('an event in its Any', () => {
  same(
    google.protobuf.Any.encode(
      pack('containerd.events.TaskStart', events.TaskStart, { containerId: 'abc', pid: 1240 }),
    ).finish(),
    '0a 1b 63 6f 6e 74 61 69 6e 65 72 64 2e 65 76 65 6e 74 73 2e 54 61 73 6b 53 74 61 72 74 12 08 0a 03 61 62 63 10 d8 09',
  );
});

test('Options in their Any', () => {
  same(
    google.protobuf.Any.encode(pack('containerd.runc.v1.Options', runc.v1.Options, { systemdCgroup: true })).finish(),
    '0a 1a 63 6f 6e 74 61 69 6e 65 72 64 2e 72 75 6e 63 2e 76 31 2e 4f 70 74 69 6f 6e 73 12 02 48 01',
  );
});

// The field numbers below are those of the contract's tables (§3.1, §4.1, §5): 08 is field 1 as a number, 0a as bytes, and
// so on by eights.

test('State: every field', () => {
  same(
    task.v2.StateResponse.encode({
      id: 'i',
      bundle: 'b',
      pid: 1,
      status: task.v2.Status.PAUSED,
      stdin: '0',
      stdout: '1',
      stderr: '2',
      terminal: true,
      exitStatus: 3,
      exitedAt: { seconds: 1 },
      execId: 'e',
    }).finish(),
    '0a0169 120162 1801 2004 2a0130 320131 3a0132 4001 4803 52020801 5a0165',
  );
});

test('the states by number', () => {
  const { UNKNOWN, CREATED, RUNNING, STOPPED, PAUSED, PAUSING } = task.v2.Status;
  assert.deepEqual([UNKNOWN, CREATED, RUNNING, STOPPED, PAUSED, PAUSING], [0, 1, 2, 3, 4, 5]);
});

test('Create: every field', () => {
  const request = task.v2.CreateTaskRequest.decode(
    hex(
      '0a0169 120162 1a10 0a0174 120173 1a0164 22026f31 22016f 2001 2a0130 320131 3a0132 420163 4a0170 5205 0a0174 1200',
    ),
  );
  assert.deepEqual(
    [
      request.id,
      request.bundle,
      request.terminal,
      request.stdin,
      request.stdout,
      request.stderr,
      request.checkpoint,
      request.parentCheckpoint,
      request.options?.type_url,
    ],
    ['i', 'b', true, '0', '1', '2', 'c', 'p', 't'],
  );
  assert.deepEqual(
    request.rootfs.map(({ type, source, target, options }) => ({ type, source, target, options })),
    [{ type: 't', source: 's', target: 'd', options: ['o1', 'o'] }],
  );
  same(task.v2.CreateTaskResponse.encode({ pid: 5 }).finish(), '0805');
});

test('the small requests', () => {
  const exec = task.v2.ExecProcessRequest.decode(hex('0a0169 120165 1801 220130 2a0131 320132 3a03 0a0174'));
  assert.deepEqual(
    [exec.id, exec.execId, exec.terminal, exec.stdin, exec.stdout, exec.stderr, exec.spec?.type_url],
    ['i', 'e', true, '0', '1', '2', 't'],
  );
  const kill = task.v2.KillRequest.decode(hex('0a0169 120165 1809 2001'));
  assert.deepEqual([kill.id, kill.execId, kill.signal, kill.all], ['i', 'e', 9, true]);
  const resize = task.v2.ResizePtyRequest.decode(hex('0a0169 120165 1850 2018'));
  assert.deepEqual([resize.id, resize.execId, resize.width, resize.height], ['i', 'e', 80, 24]);
  const close = task.v2.CloseIORequest.decode(hex('0a0169 120165 1801'));
  assert.deepEqual([close.id, close.execId, close.stdin], ['i', 'e', true]);
  const checkpoint = task.v2.CheckpointTaskRequest.decode(hex('0a0169 120170 1a03 0a0174'));
  assert.deepEqual([checkpoint.id, checkpoint.path, checkpoint.options?.type_url], ['i', 'p', 't']);
  const update = task.v2.UpdateTaskRequest.decode(hex('0a0169 1203 0a0174 1a06 0a016b 120176'));
  assert.deepEqual([update.id, update.resources?.type_url, { ...update.annotations }], ['i', 't', { k: 'v' }]);
  const shutdown = task.v2.ShutdownRequest.decode(hex('0a0169 1001'));
  assert.deepEqual([shutdown.id, shutdown.now], ['i', true]);
});

test('the small replies', () => {
  same(task.v2.WaitResponse.encode({ exitStatus: 137, exitedAt: { seconds: 1 } }).finish(), '088901 12020801');
  const name = Buffer.from('containerd.runc.v1.ProcessDetails').toString('hex');
  same(
    task.v2.PidsResponse.encode({
      processes: [
        { pid: 7, info: pack('containerd.runc.v1.ProcessDetails', runc.v1.ProcessDetails, { execId: 'e' }) },
        { pid: 8 },
      ],
    }).finish(),
    `0a2c 0807 1228 0a21 ${name} 12030a0165 0a02 0808`,
  );
  same(
    task.v2.StatsResponse.encode({ stats: { type_url: 't', value: Buffer.from([1]) } }).finish(),
    '0a06 0a0174 120101',
  );
});

test('every event', () => {
  same(
    events.TaskCreate.encode({
      containerId: 'c',
      bundle: 'b',
      rootfs: [{ type: 't', source: 's', options: ['o'] }],
      io: { stdin: '0', stdout: '1', stderr: '2', terminal: true },
      checkpoint: 'k',
      pid: 9,
    }).finish(),
    '0a0163 120162 1a09 0a0174 120173 22016f 220b 0a0130 120131 1a0132 2001 2a016b 3009',
  );
  same(
    events.TaskDelete.encode({ containerId: 'c', pid: 9, exitStatus: 1, exitedAt: { seconds: 1 } }).finish(),
    '0a0163 1009 1801 22020801',
  );
  same(
    events.TaskExit.encode({ containerId: 'c', id: 'e', pid: 9, exitStatus: 1, exitedAt: { seconds: 1 } }).finish(),
    '0a0163 120165 1809 2001 2a020801',
  );
  same(events.TaskOOM.encode({ containerId: 'c' }).finish(), '0a0163');
  same(events.TaskExecAdded.encode({ containerId: 'c', execId: 'e' }).finish(), '0a0163 120165');
  same(events.TaskExecStarted.encode({ containerId: 'c', execId: 'e', pid: 9 }).finish(), '0a0163 120165 1809');
  same(events.TaskPaused.encode({ containerId: 'c' }).finish(), '0a0163');
  same(events.TaskResumed.encode({ containerId: 'c' }).finish(), '0a0163');
});

test('the envelope in which events travel', () => {
  same(
    containerd.services.events.ttrpc.v1.ForwardRequest.encode({
      envelope: {
        timestamp: { seconds: 1 },
        namespace: 'n',
        topic: '/t',
        event: { type_url: 'u', value: Buffer.from([1]) },
      },
    }).finish(),
    '0a13 0a020801 12016e 1a022f74 2206 0a0175 120101',
  );
});

test('Options: every field that the shim reads', () => {
  const options = runc.v1.Options.decode(hex('0801 1001 1a0173 2001 2802 320162 3a0172 420163 4801 520169 5a0177'));
  assert.deepEqual(
    [
      options.noPivotRoot,
      options.noNewKeyring,
      options.shimCgroup,
      options.ioUid,
      options.ioGid,
      options.binaryName,
      options.root,
      options.criuPath,
      options.systemdCgroup,
      options.criuImagePath,
      options.criuWorkPath,
    ],
    [true, true, 's', 1, 2, 'b', 'r', 'c', true, 'i', 'w'],
  );
});

test('CheckpointOptions, whose paths are swapped in the old type', () => {
  const bytes = hex('0801 1001 1801 2001 2801 32016e 3a0163 420138 4a0139');
  const now = runc.v1.CheckpointOptions.decode(bytes);
  assert.deepEqual(
    [
      now.exit,
      now.openTcp,
      now.externalUnixSockets,
      now.terminal,
      now.fileLocks,
      now.emptyNamespaces,
      now.imagePath,
      now.workPath,
    ],
    [true, true, true, true, true, ['n'], '8', '9'],
  );
  const old = containerd.linux.runc.CheckpointOptions.decode(bytes);
  assert.deepEqual([old.exit, old.workPath, old.imagePath], [true, '8', '9']);
});

test('RuntimeInfo', () => {
  same(
    types.RuntimeInfo.encode({
      name: 'n',
      version: { version: 'v', revision: 'r' },
      options: { type_url: 'o' },
      features: { type_url: 'f' },
      annotations: { k: 'v' },
    }).finish(),
    '0a016e 1206 0a0176 120172 1a03 0a016f 2203 0a0166 2a06 0a016b 120176',
  );
});

test('what a newer daemon sends besides is passed over', () => {
  assert.equal(task.v2.StateRequest.decode(hex('0a0169 fa0702 7879 d80801')).id, 'i');
});

test('a cut message is an error', () => {
  assert.throws(() => task.v2.StateRequest.decode(hex('0a0561')));
});

test('milliseconds become seconds and nanoseconds', () => {
  same(google.protobuf.Timestamp.encode(timestamp(1_700_000_000_123)).finish(), '08 80e2cfaa06 10 c0a9d33a');
});
