/** The table of docker's commands and flags in src/cli/README.md, held beside what docker's own client says that it has. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Command } from 'commander';
import { program } from '../../src/cli/program/index.js';
import { top as checkout } from '../support/daemons.js';
import { Lab } from './lab.js';

const DOCKER = process.env.HAWSER_TEST_DOCKER || '/usr/bin/docker';
/** Docker's groups whose commands are looked at, too. */
const GROUPS = ['container', 'image', 'network', 'system', 'volume'];

interface Row {
  readonly commands: readonly string[];
  readonly here: string;
  readonly differs: string;
  readonly missing: string;
}

const rows = readFileSync(join(checkout, 'src/cli/README.md'), 'utf8')
  .split("\n## Docker's commands\n")[1]!
  .split('\n## ')[0]!
  .split('\n')
  .filter((line) => /^\| `[a-z]/.test(line) && line.split(/(?<!\\)\|/).length === 6)
  .map((line): Row => {
    const [, names = '', here = '', differs = '', missing = ''] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    return { commands: [...names.matchAll(/`([a-z ]+)`/g)].map(([, name]) => name!), here, differs, missing };
  });

function rowOf(command: string): Row | undefined {
  return rows.find(({ commands }) => commands.includes(command));
}

function flagsIn(text: string): string[] {
  return [...text.matchAll(/`(--[a-z0-9-]+)`/g)].map(([, flag]) => flag!);
}

/** `--a`, `--b`: what is done instead. `--c`: … */
function missingIn(text: string): string[] {
  return text.split(/\. (?=`--)/).flatMap((one) => flagsIn(one.split(': ')[0]!));
}

function help(...words: string[]): string {
  return execFileSync(DOCKER, [...words, '--help'], { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: '/' } });
}

function commandsOf(text: string): string[] {
  return [...text.matchAll(/^ {2}([a-z]+)\*? /gm)].map(([, name]) => name!);
}

/** All commands of docker's client that are no plugins, those of some groups among them. */
function dockerCommands(): string[] {
  const groups = GROUPS.flatMap((group) => commandsOf(help(group)).map((name) => `${group} ${name}`));
  return [...commandsOf(help()), ...groups].filter((name) => !GROUPS.includes(name));
}

/** `container stop` is `stop`, and `image ls` is a command of its own. */
function plain(name: string): string {
  const [group, word] = name.split(' ');
  if (word === undefined || rowOf(name) !== undefined) return name;
  if (group === 'container') return word === 'ls' ? 'ps' : word;
  return group === 'image' || group === 'system' ? word : name;
}

function hawserCommand(name: string): Command | undefined {
  let found: Command | undefined = program();
  for (const word of name.split(' '))
    found = found?.commands.find((one) => one.name() === word || one.aliases().includes(word));
  return found;
}

function hasFlag(command: Command, flag: string): boolean {
  return command.options.some(({ long }) => long === flag || long === flag.replace(/^--/, '--no-'));
}

let lab: Lab;
before(async () => {
  lab = await Lab.open();
});
after(() => lab.close());

async function refused(args: readonly string[], word: string): Promise<void> {
  const { stderr, exitCode } = await lab.hawser(args);
  assert.equal(exitCode, 125, `${args.join(' ')}: ${stderr}`);
  assert.ok(stderr.startsWith(`hawser: ${word}: `) && stderr.length > word.length + 30, `${args.join(' ')}: ${stderr}`);
}

test('every command and every flag of docker has its place in the table, and it is true', (t) => {
  const wrong: string[] = [];
  let [commands, flags, left] = [0, 0, 0];
  for (const name of dockerCommands()) {
    commands++;
    const row = rowOf(plain(name));
    const command = hawserCommand(plain(name));
    if (row?.here === 'not here') {
      left++;
      if (row.missing.length < 10) wrong.push(`${name}: what is done instead?`);
    } else if (row === undefined) wrong.push(`${name} is not in the table`);
    else if (command === undefined) wrong.push(`${name} is said to be here`);
    else {
      const missing = missingIn(row.missing);
      for (const [, flag = ''] of help(...name.split(' ')).matchAll(/^ +(?:-[A-Za-z], )?(--[a-z0-9-]+)/gm)) {
        if (flag === '--help') continue;
        flags++;
        if (missing.includes(flag)) left++;
        if (missing.includes(flag) === hasFlag(command, flag))
          wrong.push(`${name} ${flag} ${missing.includes(flag) ? 'is here' : 'is neither here nor in the table'}`);
      }
    }
  }
  t.diagnostic(`${commands} commands, ${flags} flags, of which ${left} are not here`);
  assert.deepEqual(wrong, []);
  assert.ok(commands > 80 && flags > 200, `${commands} ${flags}`);
});

test('what is not here is said, with what is done instead', async () => {
  for (const { commands, here, missing } of rows) {
    const [name = ''] = commands;
    if (here === 'not here') for (const one of commands) await refused(one.split(' '), one.split(' ').at(-1)!);
    else for (const flag of missingIn(missing)) await refused([...name.split(' '), flag, 'x', 'y'], flag);
  }
});
