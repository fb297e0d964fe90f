import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readState, rootOf, type HookState } from '../../src/daemon/hook/state.js';
import { hookTemplates } from '../../src/daemon/hook/template.js';

const directory = mkdtempSync(join(tmpdir(), 'hawser-hook-'));
after(() => rmSync(directory, { recursive: true }));

const state: HookState = { id: 'c1', status: 'created', pid: 42, bundle: '/b', annotations: { 'a.b/c': 'é "x"' } };

/** What is read as a state, and what is left of the file. */
function read(text: string): { state: HookState; left: string } {
  const file = join(directory, 'state');
  writeFileSync(file, text);
  const fd = openSync(file, 'r');
  try {
    return { state: readState(fd), left: readFileSync(fd, 'utf8') };
  } finally {
    closeSync(fd);
  }
}

test('a state is read to its end and no further', () => {
  const text = JSON.stringify({ ociVersion: '1.0.2', ...state, annotations: { 'a.b/c': 'é "x"', 'brace}': '\\' } });
  assert.deepEqual(read(`\n ${text}{"rest": 1}`), {
    state: { ...state, annotations: { 'a.b/c': 'é "x"', 'brace}': '\\' } },
    left: '{"rest": 1}',
  });
  assert.deepEqual(read('{"bundle":"/b"}\n'), {
    state: { id: '', status: '', pid: 0, bundle: '/b', annotations: {} },
    left: '\n',
  });
});

for (const [text, expected] of [
  ['', /^Error: standard input is empty: /],
  [' \n', /^Error: standard input is empty: /],
  ['{bad', /is no state of a container: it is not JSON: /],
  ['[1, 2]', /it must be an object, not \[1, 2\]$/],
  ['null', /it must be an object, not null$/],
  ['{"id":5,"bundle":"/b"}', /id must be a text, not 5$/],
  ['{"pid":"5","bundle":"/b"}', /pid must be a whole number, not "5"$/],
  ['{"id":"x"}', /it names no bundle$/],
  ['{"bundle":"/b","annotations":{"a":1}}', /annotations must be texts by their names, not \{"a":1\}$/],
] as const) {
  test(`no state: ${JSON.stringify(text)}`, () => assert.throws(() => read(text), expected));
}

test("the root is the spec's, a relative one that of the bundle", () => {
  const bundle = join(directory, 'bundle');
  mkdirSync(bundle);
  const root = (spec: string): string => {
    writeFileSync(join(bundle, 'config.json'), spec);
    return rootOf(bundle);
  };
  assert.equal(root('{"root":{"path":"a/../rootfs/"}}'), join(bundle, 'rootfs'));
  assert.equal(root('{"root":{"path":"/elsewhere/"}}'), '/elsewhere/');
  assert.equal(root('{"root":{}}'), bundle);
  assert.throws(() => root('{}'), /config\.json has no root, .*give it a section root with a path$/);
  assert.throws(() => root('{"root":{"path":1}}'), /root\.path must be a text, not 1$/);
  assert.throws(() => root('x'), /^Error: cannot read the spec of the container's bundle, .*config\.json: /);
  assert.throws(() => rootOf('/nowhere'), /cannot read .*\/nowhere\/config\.json: ENOENT/);
});

const render = hookTemplates(state, '/b/rootfs');

for (const [text, expected] of [
  ['plain }} text', 'plain }} text'],
  ['{{id}}{{bundle}} {{rootfs}} {{pid}} {{status}}', 'c1/b /b/rootfs 42 created'],
  ['{{annotation "a.b/c"}}|{{annotation `none`}}|{{annotation id}}', 'é "x"||'],
  [' x {{- id -}} y ', ' xc1y '],
  ['{{ "a.b/c" | annotation }}', 'é "x"'],
  ['{{printf "%s-%d" id pid}}{{(id)}}{{/* nothing */}}', 'c1-42c1'],
  ['{{if eq status "created"}}yes{{else}}no{{end}}{{if ne pid 42}}no{{end}}', 'yes'],
  ['{{if and id (not (annotation "none"))}}yes{{end}}{{"{{"}}', 'yes{{'],
] as const) {
  test(`a template: ${text}`, () => assert.equal(render(text, 'argument 1'), expected));
}

for (const [text, expected] of [
  [
    '{{foo}}',
    'foo is no function; there are id, bundle, rootfs, pid, status, annotation, eq, ne, and, or, not, printf',
  ],
  ['{{if eq id "x"}}{{foo}}{{end}}', /^foo is no function/],
  ['{{id', 'an opening {{ has no end'],
  ['{{}}', 'there is nothing in {{}}'],
  ['{{id |}}', 'there is nothing before or after a |'],
  ['{{id "x"}}', 'id takes no argument'],
  ['{{annotation}}', /^annotation takes one argument/],
  ['{{annotation pid}}', /^annotation takes one argument/],
  ['{{eq pid "42"}}', 'eq cannot compare 42 with "42"'],
  ['{{.ID}}', /^\.ID is not supported: there are no fields and no variables, but functions: id, /],
  ['{{$x := id}}', /^\$x is not supported/],
  ['{{range id}}{{end}}', '{{range}} is not supported here'],
  ['{{define "x"}}{{end}}', '{{define}} is not supported'],
  ['{{if id}}{{else if pid}}{{end}}', '{{else if pid}} is not supported: put an {{if}} into the {{else}}'],
  ['{{"\\x41"}}', '"\\x41" is no text in quotes that is understood here'],
  ['{{if id}}', '{{if}} has no {{end}}'],
] as const) {
  test(`a template that cannot be: ${text}`, () =>
    assert.throws(
      () => render(text, 'argument 1'),
      ({ message }: Error) => {
        const start = `argument 1 ${JSON.stringify(text)}: `;
        assert.ok(message.startsWith(start), message);
        if (typeof expected === 'string') assert.equal(message.slice(start.length), expected);
        else assert.match(message.slice(start.length), expected);
        return true;
      },
    ));
}
