/** The figures of a shim, as Prometheus and the state dump have them. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Code } from '../../src/ttrpc/index.js';
import { httpGet, metricsOf, stateOf } from '../support/debug.js';
import { eventually } from '../support/eventually.js';
import { fails, hawserOnly, shimTest } from '../support/shim.js';
import { sh } from '../support/spec.js';

const only = { skip: hawserOnly } as const;

shimTest(
  'metrics are what was done',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    for (let n = 0; n < 3; n++) await task.run(`e${n}`, ['/bin/true']);
    await task.exec('bad', ['/no/such'], { stdout: '', stderr: '' });
    await fails(task.start('bad'), Code.Unknown, /no such file/);
    await task.exec('e', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
    await task.start('e');
    await fails(task.shim.task.State({ id: 'none' }), Code.NotFound, /not created/);
    await eventually('all events are sent', async () => (await metricsOf(task.shim)).get('events_queued') === 0);
    const m = await metricsOf(task.shim);
    const have = (name: string): number => {
      const value = m.get(name);
      assert.notEqual(value, undefined, `${name} of ${[...m.keys()].join(' ')}`);
      return value!;
    };
    assert.deepEqual([have('containers'), have('execs_started_total'), have('execs_finished_total')], [1, 4, 3]);
    assert.deepEqual([have('requests_total{method="Start"}'), have('requests_failed_total{method="Start"}')], [6, 1]);
    assert.deepEqual([have('requests_total{method="State"}'), have('requests_failed_total{method="State"}')], [1, 1]);
    assert.deepEqual(
      [have('runtime_commands_total{command="exec"}'), have('runtime_commands_failed_total{command="exec"}')],
      [5, 1],
    );
    assert.equal(have('runtime_commands_total{command="create"}'), 1);
    assert.ok(have('runtime_command_seconds_total{command="exec"}') > 0);
    // create, start, five added, four started, three exits.
    assert.deepEqual(
      [
        have('events_sent_total'),
        have('events_dropped_total'),
        have('requests_pending'),
        have('runtime_commands_running'),
      ],
      [14, 0, 0, 0],
    );
    assert.equal(have('copied_bytes_total'), 0);
    // One more: the connection to ask by. Those asked by before close soon.
    await eventually('the number of descriptors', async () => {
      const said = (await metricsOf(task.shim)).get('open_fds');
      await delay(50);
      return said === readdirSync(`/proc/${task.shim.worker}/fd`).length + 1;
    });
    for (const name of [
      'uptime_seconds',
      'cpu_seconds_total',
      'heap_used_bytes',
      'resident_memory_bytes',
      'private_dirty_bytes',
    ])
      assert.ok(have(name) > 0, name);
    assert.ok(have('loop_delay_seconds') >= 0);
    assert.ok(have('heap_total_bytes') >= have('heap_used_bytes'));
    const { metrics } = await stateOf(task.shim);
    assert.deepEqual(
      [metrics.execsStarted, metrics.execsFinished, metrics.events.sent, metrics.requests.Start?.count],
      [4, 3, 14, 6],
    );
  },
  only,
);

shimTest(
  'what a terminal writes is counted as copied, what a FIFO carries is not',
  async (lab) => {
    const task = await lab.task('c', sh('head -c 100000 /dev/zero | tr "\\0" x'), {
      terminal: true,
      edit: (spec) => {
        spec.process.terminal = true;
      },
    });
    await task.start();
    await task.out.ended;
    assert.ok((await metricsOf(task.shim)).get('copied_bytes_total')! >= 100_000);
  },
  only,
);

shimTest(
  "the text is Prometheus' exposition format",
  async (lab) => {
    const task = await lab.task('c');
    const { status, type, body } = await httpGet(task.shim.socket, '/metrics');
    assert.deepEqual([status, type], [200, 'text/plain; version=0.0.4; charset=utf-8']);
    assert.ok(body.endsWith('\n'));
    const typed = new Set<string>();
    const label = '[a-z_]+="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
    for (const line of body.trimEnd().split('\n')) {
      const [, name] = /^# TYPE (\S+) (?:counter|gauge)$/.exec(line) ?? [];
      if (name) {
        assert.ok(!typed.has(name), `${name} is typed once`);
        typed.add(name);
      } else if (!line.startsWith('# HELP ')) {
        assert.match(line, new RegExp(`^[a-z_]+\\{${label}(?:,${label})*\\} [0-9.e+-]+$`));
        assert.ok(typed.has(line.slice(0, line.indexOf('{'))), line);
      }
    }
    assert.ok(typed.size > 15);
  },
  only,
);
