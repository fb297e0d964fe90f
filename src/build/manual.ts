/** Writes the manual page: the commands and their flags as they are declared, within the text that is written by hand. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { program } from '../cli/program/index.js';
import { top } from './version.js';

function escape(text: string): string {
  return text
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}

function flags(command: Command): string {
  return command.options
    .filter((one) => !one.hidden)
    .map((one) => `.TP\n.B ${escape(one.flags)}\n${escape(one.description)}\n`)
    .join('');
}

function describe(command: Command, prefix = ''): string {
  const name = `${prefix}${command.name()}`;
  const aliases = command.aliases().length > 0 ? ` Also called ${command.aliases().join(', ')}.` : '';
  const usage = command.usage().replace(/^\[options\] ?/, '[OPTIONS] ');
  return [
    `.SS ${escape(name)}\n.B hawser ${escape(name)}\n${escape(usage)}\n.PP\n${escape(command.description())}.${aliases}\n${flags(command)}`,
    ...command.commands.map((one) => describe(one, `${name} `)),
  ].join('');
}

const all = program();
const visible = all
  .createHelp()
  .visibleCommands(all)
  .filter((one) => one.name() !== 'help');
const template = readFileSync(join(top, 'src/cli/packaging/hawser.1.in'), 'utf8');
process.stdout.write(
  template
    .replace('@OPTIONS@\n', () => flags(all))
    .replace('@COMMANDS@\n', () => visible.map((one) => describe(one)).join('')),
);
