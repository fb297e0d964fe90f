/** Instructions of a Dockerfile that change an image's configuration, as `docker commit --change` takes them. */
import { posix } from 'node:path';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';

/** An image's configuration that is being made. What is not known here stays as it is. */
export interface Draft {
  User?: string | undefined;
  Env?: string[] | undefined;
  Entrypoint?: string[] | undefined;
  Cmd?: string[] | undefined;
  WorkingDir?: string | undefined;
  Labels?: Record<string, string> | undefined;
  StopSignal?: string | undefined;
  ExposedPorts?: Record<string, object> | undefined;
  Volumes?: Record<string, object> | undefined;
  OnBuild?: string[] | undefined;
}

type Instruction = (draft: Draft, text: string, said: string) => void;

const INSTRUCTIONS: Readonly<Record<string, Instruction>> = {
  CMD: (draft, text, said) => (draft.Cmd = command(text, said)),
  ENTRYPOINT: (draft, text, said) => (draft.Entrypoint = command(text, said)),
  ENV: (draft, text, said) => {
    for (const [name, value] of pairs(text, draft, said)) draft.Env = withSetting(draft.Env ?? [], name, value);
  },
  LABEL: (draft, text, said) => (draft.Labels = { ...draft.Labels, ...Object.fromEntries(pairs(text, draft, said)) }),
  EXPOSE: (draft, text, said) => {
    for (const port of words(text, draft, said).flatMap((word) => portsOf(word, said)))
      draft.ExposedPorts = { ...draft.ExposedPorts, [port]: {} };
  },
  VOLUME: (draft, text, said) => {
    for (const path of list(text) ?? words(text, draft, said)) draft.Volumes = { ...draft.Volumes, [path]: {} };
  },
  USER: (draft, text, said) => (draft.User = one(text, draft, said)),
  STOPSIGNAL: (draft, text, said) => (draft.StopSignal = one(text, draft, said)),
  WORKDIR: (draft, text, said) =>
    (draft.WorkingDir = posix.resolve('/', draft.WorkingDir ?? '/', one(text, draft, said))),
  ONBUILD: (draft, text) => (draft.OnBuild = [...(draft.OnBuild ?? []), text]),
};

/** @throws InvalidArgumentError for what is no instruction, or none that changes a configuration */
export function applyChanges(draft: Draft, changes: readonly string[]): void {
  let hasCommand = false;
  for (const said of changes) {
    const [, word = '', text = ''] = /^\s*([A-Za-z]+)\s+(.*?)\s*$/s.exec(said) ?? [];
    const instruction = INSTRUCTIONS[word.toUpperCase()];
    if (instruction === undefined || text === '')
      throw wrong(said, `there are ${Object.keys(INSTRUCTIONS).join(', ')}, each with what it sets`);
    instruction(draft, text, said);
    // With another entry point a command that was meant for the former one has lost its meaning, as for docker.
    if (word.toUpperCase() === 'ENTRYPOINT' && !hasCommand) draft.Cmd = undefined;
    if (word.toUpperCase() === 'CMD') hasCommand = true;
  }
}

function wrong(said: string, why: string): InvalidArgumentError {
  return new InvalidArgumentError(Code.InvalidArgument, `change ${JSON.stringify(said)}: ${why}: invalid argument`);
}

function withSetting(env: readonly string[], name: string, value: string): string[] {
  const at = env.findIndex((setting) => setting.startsWith(`${name}=`));
  return at === -1 ? [...env, `${name}=${value}`] : env.map((one, n) => (n === at ? `${name}=${value}` : one));
}

/** A list in JSON; undefined for what is none. */
function list(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const value = JSON.parse(text) as unknown;
    return Array.isArray(value) && value.every((word) => typeof word === 'string') ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Words in JSON are run as they are, any other text by a shell. */
function command(text: string, said: string): string[] {
  const found = list(text) ?? ['/bin/sh', '-c', text];
  if (found.length === 0) throw wrong(said, 'an empty list is no command');
  return found;
}

function one(text: string, draft: Draft, said: string): string {
  const [word = '', ...more] = words(text, draft, said);
  if (more.length > 0) throw wrong(said, 'it takes one word');
  return word;
}

/** `a=b c="d e"`, or `a b`, which is one. */
function pairs(text: string, draft: Draft, said: string): [string, string][] {
  const [first = ''] = /^\S+/.exec(text) ?? [];
  if (!first.includes('=')) {
    const value = text.slice(first.length).trim();
    if (value === '') throw wrong(said, 'it takes NAME=VALUE');
    return [[first, words(value, draft, said).join(' ')]];
  }
  return words(text, draft, said).map((word) => {
    const at = word.indexOf('=');
    if (at <= 0) throw wrong(said, `${JSON.stringify(word)} is no NAME=VALUE`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
}

/** Splits as a Dockerfile does: quotes, backslashes, and the configuration's own environment for `$NAME` and `${NAME}`. */
function words(text: string, { Env = [] }: Draft, said: string): string[] {
  const variable = (name: string): string => {
    const setting = Env.find((one) => one.startsWith(`${name}=`));
    return setting?.slice(name.length + 1) ?? '';
  };
  const found: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let rest = text; rest !== '';) {
    const [piece] = /^(?:\\.|\$\{\w+\}|\$\w+|\s+|.)/s.exec(rest)!;
    rest = rest.slice(piece.length);
    if (quote === '' && /^\s/.test(piece)) {
      if (word !== undefined) found.push(word);
      word = undefined;
    } else if (piece === quote) quote = '';
    else if (quote === '' && (piece === '"' || piece === "'")) {
      quote = piece;
      word ??= '';
    } else if (quote !== "'" && piece.startsWith('\\') && piece.length > 1)
      word = (word ?? '') + (quote === '"' && !/["$\\]/.test(piece[1]!) ? piece : piece[1]!);
    else if (quote !== "'" && /^\$\W?\w/.test(piece)) word = (word ?? '') + variable(piece.replace(/\W/g, ''));
    else word = (word ?? '') + piece;
  }
  if (quote !== '') throw wrong(said, `a quote (${quote}) is not closed`);
  if (word !== undefined) found.push(word);
  return found;
}

/** `80`, `80/udp`, `8000-8002`. */
function portsOf(word: string, said: string): string[] {
  const [, from = '', to = from, protocol = 'tcp'] = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/i.exec(word) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === '' || first < 1 || last > 65_535 || last < first)
    throw wrong(said, `${JSON.stringify(word)} is no port`);
  return Array.from({ length: last - first + 1 }, (_, n) => `${first + n}/${protocol.toLowerCase()}`);
}
