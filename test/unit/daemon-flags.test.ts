import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags, UsageError } from '../../src/daemon/flags.js';

const parse = (text: string) => {
  const { command, config, overrides } = parseFlags(text.split(' ').filter((word) => word !== ''));
  return { command, config, ...overrides };
};

for (const [text, expected] of [
  ['', { command: 'run' }],
  ['--config /c.toml --log-level debug', { command: 'run', config: '/c.toml', logLevel: 'debug' }],
  ['-c /c -a /a -l info --root /r --state=/s --log-format json', { command: 'run', config: '/c', address: '/a', logLevel: 'info', root: '/r', state: '/s', logFormat: 'json' }],
  ['-config=/c -log-level=warn', { command: 'run', config: '/c', logLevel: 'warn' }],
  ['--version', { command: 'version' }], ['-v', { command: 'version' }], ['-h', { command: 'help' }], ['help', { command: 'help' }],
  ['config default', { command: 'config default' }], ['-c /c config check', { command: 'config check', config: '/c' }], ['config dump -c /c', { command: 'config dump', config: '/c' }],
] as const) {
  test(`hawserd ${text}`, () => assert.deepEqual(parse(text), { config: undefined, ...expected }));
}

for (const [text, expected] of [
  ['--adress /x', 'unknown flag --adress; did you mean --address?'], ['--root', 'flag --root needs a value'], ['--root=', 'flag --root needs a value'], ['-x', 'unknown flag -x'],
  ['confg', 'unknown command confg; did you mean config?'], ['config', 'config needs one of default, check, dump'], ['config foo', 'config needs one of default, check, dump'],
  ['config dump x', 'nothing can stand after config dump: x'], ['run', 'unknown command run'], ['--', 'unknown command --'],
] as const) {
  test(`hawserd ${text}: refused`, () => assert.throws(() => parse(text), (error) => error instanceof UsageError && error.message === expected));
}
