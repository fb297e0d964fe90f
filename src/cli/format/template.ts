/**
 * Templates, in that part of Go's language which docker's users write: fields, `json`, `index`, `len`, `join`, `upper`, `lower`, `split`,
 * `println`, `printf`, comparisons, pipes, `if`, `range` and `with`.
 */
import { stringifyExact } from '../../oci/json.js';
import { UsageError } from '../errors.js';
import { printf } from './printf.js';

type Node =
  | { kind: 'text'; text: string }
  | { kind: 'value'; pipe: Pipe }
  | { kind: 'if' | 'range' | 'with'; pipe: Pipe; then: Node[]; otherwise: Node[] };
type Pipe = string[][];

/** Compiles a template once; what comes of it renders one value. `\t` and `\n` mean what they mean in Go. */
export function compile(template: string): (value: unknown) => string {
  const unescaped = template.replace(/\\t/g, '\t').replace(/\\n/g, '\n');
  const pieces = [
    ...unescaped.matchAll(/\{\{(-\s)?((?:[^}"`]|"(?:\\.|[^"\\])*"|`[^`]*`)*?)(\s-)?\}\}|((?:(?!\{\{)[^])+)|(\{\{)/g),
  ];
  const tokens = pieces.map(([, before, code, after, text, broken]) => {
    if (broken !== undefined) throw new UsageError(`--format ${JSON.stringify(template)}: an opening {{ has no end`);
    return code === undefined
      ? { text: text! }
      : { code: code.trim(), before: before !== undefined, after: after !== undefined };
  });
  tokens.forEach((token, i) => {
    if (!('code' in token)) return;
    const [previous, next] = [tokens[i - 1], tokens[i + 1]];
    if (token.before && previous && 'text' in previous) previous.text = previous.text.trimEnd();
    if (token.after && next && 'text' in next) next.text = next.text.trimStart();
  });
  let at = 0;
  const parse = (inside: boolean): { nodes: Node[]; end: 'end' | 'else' | undefined } => {
    const nodes: Node[] = [];
    while (at < tokens.length) {
      const token = tokens[at++]!;
      if (!('code' in token)) {
        nodes.push({ kind: 'text', text: token.text });
        continue;
      }
      const [, word = '', rest = ''] = /^(\S*)\s*([^]*)$/.exec(token.code) ?? [];
      if ((word === 'end' || word === 'else') && rest === '') {
        if (!inside) throw new UsageError(`--format: {{${word}}} ends nothing`);
        return { nodes, end: word };
      }
      if (word === 'if' || word === 'range' || word === 'with') {
        const then = parse(true);
        const otherwise = then.end === 'else' ? parse(true) : undefined;
        if ((otherwise ?? then).end !== 'end') throw new UsageError(`--format: {{${word}}} has no {{end}}`);
        nodes.push({ kind: word, pipe: pipeOf(rest), then: then.nodes, otherwise: otherwise?.nodes ?? [] });
      } else if (!token.code.startsWith('/*')) {
        nodes.push({ kind: 'value', pipe: pipeOf(token.code) });
      }
    }
    return { nodes, end: undefined };
  };
  const { nodes, end } = parse(false);
  if (end !== undefined) throw new UsageError(`--format ${JSON.stringify(template)}: {{${end}}} ends nothing`);
  return (value) => render(nodes, value, value);
}

function render(nodes: readonly Node[], dot: unknown, root: unknown): string {
  return nodes
    .map((node) => {
      if (node.kind === 'text') return node.text;
      const value = run(node.pipe, dot, root);
      if (node.kind === 'value') return show(value);
      if (node.kind === 'range') {
        const items = Array.isArray(value) ? (value as unknown[]) : Object.values(isRecord(value) ? value : {});
        return items.length === 0
          ? render(node.otherwise, dot, root)
          : items.map((item) => render(node.then, item, root)).join('');
      }
      if (!truth(value)) return render(node.otherwise, dot, root);
      return render(node.then, node.kind === 'with' ? value : dot, root);
    })
    .join('');
}

/** Words between blanks and parentheses, the parentheses being words too. */
function words(code: string): string[] {
  return code.match(/"(?:\\.|[^"\\])*"|`[^`]*`|[()|]|[^\s()|]+/g) ?? [];
}

function pipeOf(code: string): Pipe {
  const all = words(code);
  if (all.length === 0) throw new UsageError('--format: there is nothing in {{}}; name a field, as {{.ID}}');
  const stages: Pipe = [[]];
  let depth = 0;
  for (const word of all) {
    if (word === '(') depth++;
    if (word === ')') depth--;
    if (word === '|' && depth === 0) stages.push([]);
    else stages.at(-1)!.push(word);
  }
  if (depth !== 0) throw new UsageError(`--format: the parentheses in {{${code}}} don't match`);
  return stages;
}

function run(pipe: Pipe, dot: unknown, root: unknown): unknown {
  let value: unknown;
  pipe.forEach((stage, i) => {
    const [head, ...args] = operands(stage, dot, root);
    const more = i === 0 ? [] : [value];
    if (head instanceof Call) value = head.apply([...args, ...more]);
    else if (args.length > 0 || i > 0)
      throw new UsageError(`--format: ${stage[0]!} is no function; there are ${Object.keys(functions).join(', ')}`);
    else value = head;
  });
  return value;
}

class Call {
  constructor(private readonly name: string) {}

  apply(args: unknown[]): unknown {
    return functions[this.name]!(...args);
  }
}

function operands(stage: readonly string[], dot: unknown, root: unknown): unknown[] {
  const values: unknown[] = [];
  for (let i = 0; i < stage.length; i++) {
    const word = stage[i]!;
    if (word !== '(') {
      values.push(operand(word, dot, root));
      continue;
    }
    let [depth, end] = [1, i + 1];
    for (; depth > 0; end++) depth += stage[end] === '(' ? 1 : stage[end] === ')' ? -1 : 0;
    const inner: Pipe = pipeOf(stage.slice(i + 1, end - 1).join(' '));
    values.push(run(inner, dot, root));
    i = end - 1;
  }
  return values;
}

function operand(word: string, dot: unknown, root: unknown): unknown {
  if (word.startsWith('"')) return JSON.parse(word) as unknown;
  if (word.startsWith('`')) return word.slice(1, -1);
  if (/^-?\d+(\.\d+)?$/.test(word)) return Number(word);
  if (word === 'true' || word === 'false') return word === 'true';
  if (word === 'nil') return undefined;
  if (word.startsWith('$')) return field(root, word.slice(1), word);
  if (word.startsWith('.')) return field(dot, word, word);
  if (Object.hasOwn(functions, word)) return new Call(word);
  throw new UsageError(
    `--format: ${word} is no function, and a field begins with a dot; there are ${Object.keys(functions).join(', ')}`,
  );
}

function field(from: unknown, path: string, whole: string): unknown {
  let value = from;
  for (const name of path.split('.').filter(Boolean)) {
    if (!isRecord(value)) {
      if (value == null) return undefined;
      throw new UsageError(`--format: ${whole}: there is no field ${name}`);
    }
    const key = Object.hasOwn(value, name)
      ? name
      : Object.keys(value).find((one) => one.toLowerCase() === name.toLowerCase());
    if (key === undefined) {
      // A map may lack a key; a thing that is described lacks a field only when it is misspelt.
      if (value === from)
        throw new UsageError(
          `--format: there is no field .${name}; there are ${Object.keys(value)
            .map((one) => `.${one}`)
            .join(', ')}`,
        );
      return undefined;
    }
    value = value[key];
  }
  return value;
}

const functions: Readonly<Record<string, (...args: unknown[]) => unknown>> = {
  json: (value) => stringifyExact(value),
  index: (value, ...keys) =>
    keys.reduce<unknown>((inner, key) => (isRecord(inner) ? inner[String(key)] : undefined), value),
  len: (value) =>
    typeof value === 'string' || Array.isArray(value) ? value.length : Object.keys(isRecord(value) ? value : {}).length,
  join: (list, separator) => (Array.isArray(list) ? list.map(show).join(show(separator)) : show(list)),
  split: (text, separator) => show(text).split(show(separator)),
  upper: (text) => show(text).toUpperCase(),
  lower: (text) => show(text).toLowerCase(),
  title: (text) => show(text).replace(/\b\w/g, (letter) => letter.toUpperCase()),
  println: (...values) => `${values.map(show).join(' ')}\n`,
  print: (...values) => values.map(show).join(' '),
  printf: (form, ...values) => printf(show(form), values),
  eq: (first, ...others) => others.some((other) => first === other),
  ne: (first, second) => first !== second,
  lt: (first, second) => (first as number) < (second as number),
  gt: (first, second) => (first as number) > (second as number),
  le: (first, second) => (first as number) <= (second as number),
  ge: (first, second) => (first as number) >= (second as number),
  and: (...values) => values.find((value) => !truth(value)) ?? values.at(-1),
  or: (...values) => values.find(truth) ?? values.at(-1),
  not: (value) => !truth(value),
};

function truth(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : isRecord(value) ? Object.keys(value).length > 0 : Boolean(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** As Go prints it: maps as `map[a:b]`, lists as `[a b]`. */
function show(value: unknown): string {
  if (value == null) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`;
  if (isRecord(value))
    return `map[${Object.keys(value)
      .sort()
      .map((key) => `${key}:${show(value[key])}`)
      .join(' ')}]`;
  return typeof value === 'string' ? value : stringifyExact(value);
}
