/** Where hawserd answers ctr otherwise than containerd does, and why that is meant. */

export interface Difference {
  /** Which rows of the table: how they begin. */
  rows: RegExp;
  /** For one major version of ctr alone. */
  only?: 1 | 2;
  reason: string;
}

const FILTERS = 'a filter that cannot be read is refused in our own words, as InvalidArgument everywhere';
const SUFFIX = "containerd 1.6's words: the class of an error stands at its end for every client";

export const DIFFERENCES: readonly Difference[] = [
  { rows: /^version$/, reason: 'its own version' },
  { rows: /^plugins ls$/, reason: 'its own plugins' },
  {
    rows: /^plugins ls -d id==overlayfs$/,
    only: 2,
    reason: 'its overlayfs maps no ids in a mount: dockerd and ctr chown instead',
  },
  { rows: /^(leases ls id~~x|containers ls -q ===|events ===)$/, reason: FILTERS },
  {
    rows: /^images ls name~=\($/,
    reason: 'a pattern that cannot be read is an error; containerd takes it for one that matches nothing',
  },
  { rows: /^images import \$RUBBISH$/, only: 2, reason: 'says what is wrong with the archive' },
  {
    rows: /^images (pull|push) /,
    only: 2,
    reason: 'the transfer service imports and exports archives; registries are left to the client (--local)',
  },
  {
    rows: /^images (import --snapshotter native \$ARCHIVE)$/,
    only: 2,
    reason: 'its transfer service unpacks into any snapshotter; containerd only into those of its configuration',
  },
  { rows: /^run --rm --snapshotter native \$IMAGE r12/, only: 2, reason: 'the image was unpacked by the row before' },
  { rows: /^namespaces rm \$NAMESPACE$/, only: 2, reason: 'so there is a snapshot on native' },
  {
    rows: /^(snapshots (prepare --mounts|mounts \/mnt k2)|events$)/,
    only: 2,
    reason: 'options of an overlay in the order of containerd 1.6',
  },
  {
    rows: /^snapshots mounts \/mnt \$LAYER$/,
    reason: "the client's name of the snapshot, not the one inside the store",
  },
  { rows: /^run --rm --runtime runc /, reason: 'runc is a name of the stock runtime' },
  {
    rows: /^run --rm --runtime io\.containerd\.runtime\.v1\.linux /,
    only: 2,
    reason: 'the name of the first runtime is still answered',
  },
  { rows: /^(content edit|tasks rm)/, only: 2, reason: SUFFIX },
];
