/** Where what test/go/peer sees of ours may differ from what it sees of containerd and its shim: each with its reason. */

/** The lines of a step that ours has in place of the right ones. */
export interface Difference {
  readonly step: string;
  readonly why: string;
  /** In place of this line; of the whole step, where it is left out. */
  readonly right?: string;
  readonly ours: readonly string[];
}

const NO_STREAM = 'our shim takes an empty path for no stream, one by one; the Go shim cannot open it';
const END = (code: number): string[] => [`end: exit ${code}, at a time: true`, `delete: exit ${code}`];

/**
 * What is right of steps that the Go shim does not always bring to their end: it loses what a process has written to a log file
 * just before its end (2.4.2, one time in three), and at times an exit, which then is no event, and keeps the container from being removed (2.4.2).
 */
export const MAY_BE_LOST: readonly { readonly step: string; readonly right: readonly string[] }[] = [
  {
    step: 'stdio-file',
    right: [...END(0), 'file.log: ["err\\n" "out\\n"]', ...END(0), 'file.log: ["again\\n" "err\\n" "out\\n"]'],
  },
  { step: 'stdio-file-uri', right: [...END(0), 'uri with blank.log: ["err\\n" "out\\n"]'] },
  {
    step: 'exec-log',
    right: ['end: exit 0, at a time: true', 'delete: ok', 'exec.log: ["err\\n" "out\\n"]'],
  },
  {
    step: 'events-by-topic',
    right: [...END(5), 'NS /tasks/exit: events-by-topic "events-by-topic" 5, at a time: true, <nil>'],
  },
];

/** Of our shim, whatever daemon runs it. */
export const OF_THE_SHIM: readonly Difference[] = [
  { step: 'stdio-out-only', why: NO_STREAM, ours: [...END(0), 'stream: "out\\n"'] },
  { step: 'stdio-err-only', why: NO_STREAM, ours: [...END(0), 'stream: "err\\n"'] },
  { step: 'terminal-no-streams', why: NO_STREAM, ours: END(6) },
  {
    step: 'stdio-file-terminal',
    why: "our shim writes a terminal's output to a log file, too; the Go shim takes the URI for a path",
    ours: [...END(0), 'terminal.log: ["/dev/pts/0\\r\\n" "err\\r\\n" "out\\r\\n"]'],
  },
];

/** Of our shim, with what only the newer client does. */
export const OF_THE_SHIM_NEWER: readonly Difference[] = [
  {
    step: 'sandbox-life',
    why: "our shim has the Sandbox service, as containerd 1.7's had; that of 2.4 has it no more",
    ours: [
      'start: ok',
      'labels: map[a:b] <nil>',
      'status:  false ok',
      'sandbox of the member: sandbox-life <nil>',
      ...END(3),
      'stop: ok',
      'end: exit 0, at a time: false',
      'shutdown: ok',
      'load when it is gone: NotFound: bucket "sandbox-life" not found: not found',
    ],
  },
];

/** Of hawserd, beside any containerd. */
export const OF_THE_DAEMON: readonly Difference[] = [
  {
    step: 'containers',
    why: 'hawserd takes the field by the name that it has in the .proto, too',
    right: 'update [snapshot_key]: map[] "" "" InvalidArgument',
    ours: ['update [snapshot_key]: map[c:[labels] x:y] "an image" "io.containerd.runc.v2" ok'],
  },
];

/** Of hawserd, beside containerd 2.4. */
export const OF_THE_DAEMON_NEWER: readonly Difference[] = [
  {
    step: 'transfer-import',
    why: 'hawserd tells of unpacking, too',
    right: 'progress: [Completed import Importing saved]',
    ours: ['progress: [Completed import Importing saved unpacking]'],
  },
  {
    step: 'transfer-import',
    why: "containerd 1.7 doesn't name the archive's index by its digest, and hawserd follows that one",
    right: 'by digest: 2 <nil>',
    ours: ['by digest: 1 <nil>'],
  },
];

/** What the step of leases writes. */
const LEASED = 'sha256:0f3ff4242ca53fede14371733f9ba429de7c77edbdf0d325b282930d0d7a50f0';

/** Of hawserd, beside containerd 1.6. */
export const OF_THE_DAEMON_OLDER: readonly Difference[] = [
  {
    step: 'restart-killed',
    why: 'containerd counts restarts since 1.7',
    right: 'labels: map[] <nil>',
    ours: ['labels: map[containerd.io/restart.count:2] <nil>'],
  },
  {
    step: 'leases',
    why: 'containerd takes images for a lease in later releases, as hawserd does',
    right: 'add an image: NotImplemented',
    ours: ['add an image: ok'],
  },
  {
    step: 'leases',
    why: 'the image that 1.6 did not take',
    right: `resources: [{${LEASED} content} {some-ref ingests} {snap snapshots/overlayfs}] <nil>`,
    ours: [`resources: [{${LEASED} content} {some-image images} {some-ref ingests} {snap snapshots/overlayfs}] <nil>`],
  },
  {
    step: 'restart-on-failure',
    why: 'containerd counts restarts since 1.7',
    right: 'count: "" <nil>',
    ours: ['count: "1" <nil>'],
  },
];
