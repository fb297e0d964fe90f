import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags, UsageError } from '../../src/daemon/flags.js';

const parse = (text: string) => {
  const { command, config, overrides, ...rest } = parseFlags(text.split(' ').filter((word) => word !== ''));
  return { command, config, ...overrides, ...rest };
};

for (const [text, expected] of [
  ['', { command: 'run' }],
  ['--config /c.toml --log-level debug', { command: 'run', config: '/c.toml', logLevel: 'debug' }],
  [
    '-c /c -a /a -l info --root /r --state=/s --log-format json',
    { command: 'run', config: '/c', address: '/a', logLevel: 'info', root: '/r', state: '/s', logFormat: 'json' },
  ],
  ['-config=/c -log-level=warn', { command: 'run', config: '/c', logLevel: 'warn' }],
  ['--version', { command: 'version' }],
  ['-v', { command: 'version' }],
  ['-h', { command: 'help' }],
  ['help', { command: 'help' }],
  ['config default', { command: 'config default' }],
  ['-c /c config check', { command: 'config check', config: '/c' }],
  ['config migrate', { command: 'config migrate' }],
  ['config dump -c /c', { command: 'config dump', config: '/c' }],
  [
    '--address /a publish --topic /tasks/oom --namespace ns',
    { command: 'publish', address: '/a', event: { topic: '/tasks/oom', namespace: 'ns' } },
  ],
  ['oci-hook /bin/echo -v --topic x', { command: 'oci-hook', hook: ['/bin/echo', '-v', '--topic', 'x'] }],
  ['-l debug oci-hook -- --odd config', { command: 'oci-hook', logLevel: 'debug', hook: ['--odd', 'config'] }],
] as const) {
  test(`hawserd ${text}`, () => assert.deepEqual(parse(text), { config: undefined, ...expected }));
}

for (const [text, expected] of [
  ['--adress /x', 'unknown flag --adress; did you mean --address?'],
  ['--root', 'flag --root needs a value'],
  ['--root=', 'flag --root needs a value'],
  ['-x', 'unknown flag -x'],
  ['confg', 'unknown command confg; did you mean config?'],
  ['config', 'config needs one of default, check, dump, migrate'],
  ['config foo', 'config needs one of default, check, dump, migrate'],
  ['config dump x', 'nothing can stand after config dump: x'],
  ['run', 'unknown command run'],
  ['publish --topic /t', 'publish needs the flag --namespace'],
  ['publish --namespace n', 'publish needs the flag --topic'],
  ['publish x --topic /t --namespace n', 'nothing can stand after publish: x'],
  ['--topic /t', 'flag --topic goes with publish only'],
  ['config dump --namespace n', 'flag --namespace goes with publish only'],
  ['--', 'unknown command --'],
  ['oci-hook', 'oci-hook needs the program that it is to run'],
  ['oci-hook -x', 'unknown flag -x of oci-hook: put -- before the program that it is to run'],
  ['--topic /t oci-hook /x', 'flag --topic goes with publish only'],
] as const) {
  test(`hawserd ${text}: refused`, () =>
    assert.throws(
      () => parse(text),
      (error) => error instanceof UsageError && error.message === expected,
    ));
}
