/** What the command line reads and shows, without a daemon. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inWords, parseDuration, parseMoment } from '../../src/cli/format/time.js';
import { binarySize, decimalSize, parseSize } from '../../src/cli/format/size.js';
import { list } from '../../src/cli/format/output.js';
import { shorten, table } from '../../src/cli/format/table.js';
import { compile } from '../../src/cli/format/template.js';

test("sizes in docker's units", () => {
  assert.deepEqual(
    ['512m', '1g', '64kb', '1.5GiB', '100'].map((text) => parseSize(text, '-m')),
    [536_870_912, 1_073_741_824, 65_536, 1_610_612_736, 100],
  );
  for (const text of ['', 'plenty', '-1m', '1x', '9999999p'])
    assert.throws(() => parseSize(text, '--memory'), /--memory .* is no size: give a number/);
  assert.deepEqual([0, 808 * 1024, 2_048_000, 23.5 * 1024 ** 3].map(binarySize), [
    '0B',
    '808KiB',
    '1.953MiB',
    '23.5GiB',
  ]);
  assert.deepEqual([0, 656, 7_050_000].map(decimalSize), ['0B', '656B', '7.05MB']);
});

test("times in docker's words", () => {
  const cases: [number, string][] = [
    [0.5, 'Less than a second'],
    [1, '1 second'],
    [59, '59 seconds'],
    [60, 'About a minute'],
    [150, '2 minutes'],
    [3600, 'About an hour'],
    [3 * 3600, '3 hours'],
    [3 * 86400, '3 days'],
    [21 * 86400, '3 weeks'],
    [90 * 86400, '3 months'],
    [800 * 86400, '2 years'],
  ];
  for (const [seconds, words] of cases) assert.equal(inWords(seconds * 1000), words);
  assert.deepEqual(['1h30m', '1.5s', '300ms', '10', 'x'].map(parseDuration), [
    5_400_000,
    1500,
    300,
    undefined,
    undefined,
  ]);
  assert.equal(parseMoment('10m', '--since', 1_000_000), 400_000);
  assert.equal(parseMoment('2024-05-01T10:00:00Z', '--since'), Date.UTC(2024, 4, 1, 10));
  assert.throws(() => parseMoment('yesterday', '--since'), /--since "yesterday" is no time/);
});

test('tables stand in columns, and lose no wide letter', () => {
  assert.equal(
    table(
      ['A', 'LONG'],
      [
        ['xyz', '1'],
        ['ü', '2'],
      ],
    ),
    'A     LONG\nxyz   1\nü     2\n',
  );
  assert.equal(shorten('abcdef', 4), 'abc…');
});

test('templates: fields, functions, blocks', () => {
  const value = { ID: 'c1', State: { Pid: 7, Running: true }, Args: ['a', 'b'], Labels: { 'a.b/c': 'd' }, Empty: [] };
  const cases: [string, string][] = [
    ['{{.ID}}\\t{{.State.Pid}}', 'c1\t7'],
    ['{{json .Args}}', '["a","b"]'],
    ['{{index .Labels "a.b/c"}}', 'd'],
    ['{{index .Args 1}}', 'b'],
    ['{{len .Args}}', '2'],
    ['{{join .Args ","}}', 'a,b'],
    ['{{.ID | upper | printf "%-4s|"}}', 'C1  |'],
    ['{{if .State.Running}}up{{else}}down{{end}}', 'up'],
    ['{{if eq .ID "c2"}}2{{else}}other{{end}}', 'other'],
    ['{{range .Args}}<{{.}}>{{end}}', '<a><b>'],
    ['{{range .Empty}}x{{else}}none{{end}}', 'none'],
    ['{{with .State}}{{.Pid}}{{end}}', '7'],
    ['{{ .ID -}}  x', 'c1x'],
    ['{{.Args}} {{.State}}', '[a b] map[Pid:7 Running:true]'],
    ['{{json (index .Args 0)}}', '"a"'],
    ['{{range .Args}}{{$.ID}}{{end}}', 'c1c1'],
    ['{{and .ID (not .Empty)}}', 'true'],
    ['{{/* nothing */}}x', 'x'],
  ];
  for (const [template, expected] of cases) assert.equal(compile(template)(value), expected, template);
  for (const [template, error] of [
    ['{{.Nope}}', /there is no field \.Nope; there are \.ID/],
    ['{{nope .ID}}', /nope is no function/],
    ['{{.ID', /an opening {{ has no end/],
    ['{{if .ID}}x', /has no {{end}}/],
    ['{{end}}', /ends nothing/],
    ['{{}}', /there is nothing in/],
  ] as const) {
    assert.throws(() => compile(template)(value), error, template);
  }
});

test('lists: a table, ids, JSON lines, templates', () => {
  const records = [
    { ID: 'c1', Status: 'Up' },
    { ID: 'c2', Status: 'Created' },
  ];
  const columns = { 'CONTAINER ID': 'ID', STATUS: 'Status' };
  assert.equal(
    list(records, columns, { idKey: 'ID' }),
    'CONTAINER ID   STATUS\nc1             Up\nc2             Created\n',
  );
  assert.equal(list(records, columns, { idKey: 'ID', quiet: true }), 'c1\nc2\n');
  assert.equal(
    list(records, columns, { idKey: 'ID', format: 'json' }).split('\n')[1],
    '{"ID":"c2","Status":"Created"}',
  );
  assert.equal(
    list(records, columns, { idKey: 'ID', format: 'table {{.Status}}\\t{{.ID}}' }),
    'STATUS    CONTAINER ID\nUp        c1\nCreated   c2\n',
  );
});
