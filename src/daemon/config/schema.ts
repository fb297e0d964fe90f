/** Every key of the configuration, with what it means: what is checked, what `hawserd config default` prints, and what the manual says. */

export type Kind = 'string' | 'integer' | 'boolean' | 'strings' | 'table';

export interface Setting {
  readonly kind: Kind;
  /** As `hawserd config default` prints it; undefined for what has no default of its own. */
  readonly value?: string | number | boolean | readonly string[];
  /** Absent for a key of containerd's that is accepted and has no use here. */
  readonly doc?: string;
}

export interface Section {
  readonly doc?: string;
  readonly settings: Readonly<Record<string, Setting>>;
}

export const DEFAULT_FILE = '/etc/hawser/config.toml';

const theirs = (kind: Kind): Setting => ({ kind });

/** Sections with fixed keys, by name; the one without a name is the top. */
export const SECTIONS: Readonly<Record<string, Section>> = {
  '': {
    settings: {
      version: {
        kind: 'integer',
        value: 2,
        doc:
          "Version of this file's form, as containerd counts them: 1 to 4; a file without one has version 1. In version 4 the sections\n" +
          'grpc, ttrpc and metrics are [plugins."io.containerd.server.v1.grpc"] and so on.',
      },
      root: {
        kind: 'string',
        value: '/var/lib/hawser',
        doc: 'Where everything lives that lasts: metadata, content, snapshots. One hawserd at a time may use it.',
      },
      state: {
        kind: 'string',
        value: '/run/hawser/state',
        doc: 'Where everything lives that a reboot clears: the bundles of running containers.',
      },
      oom_score: {
        kind: 'integer',
        value: 0,
        doc: "The daemon's oom_score_adj, from -1000 (never chosen when memory runs out) to 1000. 0 leaves it as it was started.",
      },
      disabled_plugins: {
        kind: 'strings',
        value: [],
        doc: 'Plugins that are not started, as TYPE.ID ("io.containerd.snapshotter.v1.native") or a whole TYPE.',
      },
      required_plugins: {
        kind: 'strings',
        value: [],
        doc: 'Plugins without which the daemon does not start, as TYPE.ID.',
      },
      external_plugins: {
        kind: 'strings',
        value: [],
        doc: 'ES modules with further plugins, by absolute path. The default export is a registration or an array of them.',
      },
      default_runtime: {
        kind: 'string',
        value: 'io.containerd.runc.v2',
        doc: 'The runtime of containers that name none.',
      },
      imports: {
        kind: 'strings',
        value: [],
        doc: 'Further files of this form, read after this one; a relative path starts here, and * stands for any part of a file name.',
      },
      temp: theirs('string'),
      plugin_dir: theirs('string'),
    },
  },
  grpc: {
    doc: "The socket of containerd's API.",
    settings: {
      address: { kind: 'string', value: '/run/hawser/hawserd.sock', doc: 'Its path.' },
      uid: {
        kind: 'integer',
        value: 0,
        doc: 'The user that it belongs to. It has mode 0660: whoever can open it is as good as root.',
      },
      gid: { kind: 'integer', value: 0, doc: 'The group that it belongs to.' },
      max_recv_message_size: {
        kind: 'integer',
        value: 16777216,
        doc: 'The longest message that is taken, in bytes; 0 is the default.',
      },
      max_send_message_size: {
        kind: 'integer',
        value: 16777216,
        doc: 'The longest message that is sent, in bytes; 0 is the default.',
      },
      tcp_address: theirs('string'),
      tcp_tls_ca: theirs('string'),
      tcp_tls_cert: theirs('string'),
      tcp_tls_key: theirs('string'),
      tcp_tls_common_name: theirs('string'),
    },
  },
  ttrpc: {
    doc: 'The socket that shims send events to. Only processes of the same user are heard there.',
    settings: {
      address: {
        kind: 'string',
        value: '',
        doc: 'Its path; the address of [grpc] with .ttrpc after it, and with its uid and gid, when this is empty.',
      },
      uid: { kind: 'integer', value: 0, doc: 'The user that it belongs to.' },
      gid: { kind: 'integer', value: 0, doc: 'The group that it belongs to.' },
    },
  },
  debug: {
    doc: 'The log, on standard error.',
    settings: {
      level: { kind: 'string', value: 'info', doc: 'trace, debug, info, warn, error, fatal or panic.' },
      format: { kind: 'string', value: '', doc: 'json, text, or nothing: text on a terminal and json anywhere else.' },
      log_trace_id: theirs('boolean'),
      address: theirs('string'),
      uid: theirs('integer'),
      gid: theirs('integer'),
    },
  },
  metrics: {
    doc: "Metrics of all containers' cgroups, for Prometheus.",
    settings: {
      address: {
        kind: 'string',
        value: '',
        doc: 'HOST:PORT to serve /v1/metrics on; nothing is served when this is empty.',
      },
      grpc_histogram: theirs('boolean'),
    },
  },
  cgroup: {
    doc: 'The cgroup of the daemon itself. Shims are started in it; containers have their own.',
    settings: {
      path: {
        kind: 'string',
        value: '',
        doc: 'Its path, made where it is missing; empty: that in which the daemon was started.',
      },
    },
  },
};

export const METRICS_SERVER = 'io.containerd.server.v1.metrics';

/** Sections that version 4 has at plugins, by the plugin's name. The keys are the same. */
export const SERVERS: Readonly<Record<string, string>> = {
  'io.containerd.server.v1.grpc': 'grpc',
  'io.containerd.server.v1.ttrpc': 'ttrpc',
  [METRICS_SERVER]: 'metrics',
};

/** Sections whose keys are names that the user chooses. */
export const TABLES: Readonly<Record<string, { readonly doc?: string; readonly example?: string }>> = {
  timeouts: {
    doc: 'How long is waited for shims, as "5s" or "1m30s".',
    example: [
      '"io.containerd.timeout.shim.load" = "5s"          # finding a shim again after a restart',
      '"io.containerd.timeout.shim.cleanup" = "5s"       # cleaning up after a shim that died',
      '"io.containerd.timeout.shim.shutdown" = "3s"      # asking a shim to end',
      '"io.containerd.timeout.task.state" = "2s"         # asking a shim for a task\'s state',
      '"io.containerd.timeout.metrics.shimstats" = "2s"  # asking a shim for a task\'s metrics',
      '"io.hawser.timeout.shim.start" = "1m"             # starting a shim',
    ].join('\n'),
  },
  runtimes: {
    doc:
      "Runtimes that containers can name, besides io.containerd.runc.v2, io.containerd.runtime.v1.linux and runc, which are all hawser's own shim.\n" +
      "shim is the absolute path of a shim, or a name such as io.containerd.kata.v2 from which a binary's name follows. options are what\n" +
      "a container gets that has none: those of runc's shim (BinaryName, Root, SystemdCgroup, NoPivotRoot, NoNewKeyring, ShimCgroup, IoUid, IoGid,\n" +
      'CriuPath, CriuImagePath, CriuWorkPath).',
    example:
      '[runtimes.crun]\n  shim = "io.containerd.runc.v2"\n  options = { BinaryName = "/usr/bin/crun", SystemdCgroup = false }',
  },
  plugins: {
    doc:
      'Settings of single plugins, each in a section [plugins."TYPE.ID"]. These are all that the plugins of hawserd\'s own have (snapshotters,\n' +
      'for instance, have none), and, as the last, those of an external plugin.',
    example: [
      '[plugins."io.containerd.metadata.v1.lmdb"]',
      '  default_snapshotter = ""  # of clients that name none; when it is empty overlayfs, or native where that does not work',
      '  collect_delay_ms = 500    # what is no longer needed is removed so long after something was deleted, in milliseconds',
      '  collect_interval_s = 300  # and besides so often, as leases expire, in seconds',
      '[plugins."io.containerd.runtime.v2.task"]',
      '  sched_core = false        # each shim and its containers share cores with nobody else',
      '  shim_dirs = []            # directories that shims are looked for in before all others',
      '[plugins."io.containerd.shim.v1.manager"]',
      '  env = []                  # what shims have in their environment besides, as "NAME=VALUE"',
      '[plugins."io.containerd.monitor.task.v1.cgroups"]',
      '  no_prometheus = false     # no metrics of containers; those of the daemon itself are served all the same',
      '[plugins."io.containerd.internal.v1.restart"]',
      '  interval = "10s"          # containers are started again by their restart labels so often',
      '[plugins."io.containerd.grpc.v1.greeter"]',
      '  greeting = "Hello"',
    ].join('\n'),
  },
  proxy_plugins: {},
  stream_processors: {},
};
