/**
 * Templates in that part of Go's language which people write on command lines: fields, functions, pipes, parentheses, `if`, `range`, `with`,
 * comments and the marks that trim blanks. Which functions there are, and whether there is data with fields, is up to each use.
 */
import { stringifyExact } from './json.js';
import { printf } from './printf.js';

/** By name. One may throw; the error is the template's. */
export type Functions = Readonly<Record<string, (...args: unknown[]) => unknown>>;

export interface Language {
  readonly functions: Functions;
  /** Whether a template is about a value, whose fields it can name; else it has functions and `if` only. Default true. */
  readonly data?: boolean;
  /** The error for a template that cannot be; the reason does not name the template. */
  readonly fault: (reason: string) => Error;
}

/** What Go has and these templates have not. */
const UNSUPPORTED = new Set(['define', 'template', 'block', 'break', 'continue']);

type Node =
  | { kind: 'text'; text: string }
  | { kind: 'value'; pipe: Pipe }
  | { kind: 'if' | 'range' | 'with'; pipe: Pipe; then: Node[]; otherwise: Node[] };
type Pipe = string[][];

/**
 * Compiles a template once; what comes of it renders one value.
 *
 * @throws what the language's fault makes, here and when it renders
 */
export function compileTemplate(template: string, language: Language): (value?: unknown) => string {
  const nodes = new Parser(tokensOf(template, language), language).all();
  return (value) => new Run(language, value).render(nodes, value);
}

type Token = { text: string } | { code: string; before: boolean; after: boolean };

function tokensOf(template: string, { fault }: Language): Token[] {
  const pieces = [
    ...template.matchAll(/\{\{(-\s)?((?:[^}"`]|"(?:\\.|[^"\\])*"|`[^`]*`)*?)(\s-)?\}\}|((?:(?!\{\{)[^])+)|(\{\{)/g),
  ];
  const tokens = pieces.map(([, before, code, after, text, broken]) => {
    if (broken !== undefined) throw fault('an opening {{ has no end');
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
  return tokens;
}

class Parser {
  #at = 0;

  constructor(
    private readonly tokens: readonly Token[],
    private readonly language: Language,
  ) {}

  all(): Node[] {
    return this.#parse(false).nodes;
  }

  #parse(inside: boolean): { nodes: Node[]; end: 'end' | 'else' | undefined } {
    const { fault, data = true } = this.language;
    const nodes: Node[] = [];
    while (this.#at < this.tokens.length) {
      const token = this.tokens[this.#at++]!;
      if (!('code' in token)) {
        nodes.push({ kind: 'text', text: token.text });
        continue;
      }
      const [, word = '', rest = ''] = /^(\S*)\s*([^]*)$/.exec(token.code) ?? [];
      if (word === 'end' || word === 'else') {
        if (rest !== '') throw fault(`{{${token.code}}} is not supported: put an {{if}} into the {{else}}`);
        if (!inside) throw fault(`{{${word}}} ends nothing`);
        return { nodes, end: word };
      }
      if (UNSUPPORTED.has(word)) throw fault(`{{${word}}} is not supported`);
      if (word === 'if' || word === 'range' || word === 'with') {
        if (!data && word !== 'if') throw fault(`{{${word}}} is not supported here`);
        const pipe = pipeOf(rest, this.language);
        const then = this.#parse(true);
        const otherwise = then.end === 'else' ? this.#parse(true) : undefined;
        if ((otherwise ?? then).end !== 'end') throw fault(`{{${word}}} has no {{end}}`);
        nodes.push({ kind: word, pipe, then: then.nodes, otherwise: otherwise?.nodes ?? [] });
      } else if (!token.code.startsWith('/*')) {
        nodes.push({ kind: 'value', pipe: pipeOf(token.code, this.language) });
      }
    }
    return { nodes, end: undefined };
  }
}

/** Words between blanks and parentheses, the parentheses being words too. */
function words(code: string): string[] {
  return code.match(/"(?:\\.|[^"\\])*"|`[^`]*`|[()|]|[^\s()|]+/g) ?? [];
}

function pipeOf(code: string, language: Language): Pipe {
  const { fault, data = true } = language;
  const all = words(code);
  if (all.length === 0) throw fault(`there is nothing in {{}}${data ? '; name a field, as {{.ID}}' : ''}`);
  for (const word of all) checkWord(word, language);
  const stages: Pipe = [[]];
  let depth = 0;
  for (const word of all) {
    if (word === '(') depth++;
    if (word === ')') depth--;
    if (word === '|' && depth === 0) stages.push([]);
    else stages.at(-1)!.push(word);
  }
  if (depth !== 0) throw fault(`the parentheses in {{${code}}} don't match`);
  return stages;
}

/** @throws for what is neither a value nor a function, before anything is rendered */
function checkWord(word: string, { functions, data = true, fault }: Language): void {
  if (/^[()|]$|^`|^-?\d+(\.\d+)?$|^(?:true|false|nil)$/.test(word) || Object.hasOwn(functions, word)) return;
  if (word.startsWith('"')) {
    try {
      JSON.parse(word);
    } catch (cause) {
      throw Object.assign(fault(`${word} is no text in quotes that is understood here`), { cause });
    }
    return;
  }
  const names = Object.keys(functions).join(', ');
  if (word.startsWith('.') || word.startsWith('$')) {
    if (!data) throw fault(`${word} is not supported: there are no fields and no variables, but functions: ${names}`);
    return;
  }
  throw fault(`${word} is no function${data ? ', and a field begins with a dot' : ''}; there are ${names}`);
}

class Call {
  constructor(readonly apply: (...args: unknown[]) => unknown) {}
}

/** One rendering. */
class Run {
  constructor(
    private readonly language: Language,
    private readonly root: unknown,
  ) {}

  render(nodes: readonly Node[], dot: unknown): string {
    return nodes
      .map((node) => {
        if (node.kind === 'text') return node.text;
        const value = this.#pipe(node.pipe, dot);
        if (node.kind === 'value') return show(value);
        if (node.kind === 'range') {
          const items = Array.isArray(value) ? (value as unknown[]) : Object.values(isRecord(value) ? value : {});
          return items.length === 0
            ? this.render(node.otherwise, dot)
            : items.map((item) => this.render(node.then, item)).join('');
        }
        if (!truth(value)) return this.render(node.otherwise, dot);
        return this.render(node.then, node.kind === 'with' ? value : dot);
      })
      .join('');
  }

  #pipe(pipe: Pipe, dot: unknown): unknown {
    const { functions, fault } = this.language;
    let value: unknown;
    pipe.forEach((stage, i) => {
      if (stage.length === 0) throw fault('there is nothing before or after a |');
      const [head, ...args] = this.#operands(stage, dot);
      const more = i === 0 ? [] : [value];
      if (head instanceof Call) value = head.apply(...args, ...more);
      else if (args.length > 0 || i > 0)
        throw fault(`${stage[0]!} is no function; there are ${Object.keys(functions).join(', ')}`);
      else value = head;
    });
    return value;
  }

  /** The first is called with the others, if it is a function; those among the others are called with nothing, as in Go. */
  #operands(stage: readonly string[], dot: unknown): unknown[] {
    const values: unknown[] = [];
    const add = (value: unknown): void => {
      values.push(value instanceof Call && values.length > 0 ? value.apply() : value);
    };
    for (let i = 0; i < stage.length; i++) {
      const word = stage[i]!;
      if (word !== '(') {
        add(this.#operand(word, dot));
        continue;
      }
      let [depth, end] = [1, i + 1];
      for (; depth > 0; end++) depth += stage[end] === '(' ? 1 : stage[end] === ')' ? -1 : 0;
      values.push(this.#pipe(pipeOf(stage.slice(i + 1, end - 1).join(' '), this.language), dot));
      i = end - 1;
    }
    return values;
  }

  #operand(word: string, dot: unknown): unknown {
    if (word.startsWith('"')) return JSON.parse(word) as unknown;
    if (word.startsWith('`')) return word.slice(1, -1);
    if (/^-?\d+(\.\d+)?$/.test(word)) return Number(word);
    if (word === 'true' || word === 'false') return word === 'true';
    if (word === 'nil') return undefined;
    if (word.startsWith('$')) return this.#field(this.root, word.slice(1), word);
    if (word.startsWith('.')) return this.#field(dot, word, word);
    return new Call(this.language.functions[word]!);
  }

  #field(from: unknown, path: string, whole: string): unknown {
    let value = from;
    for (const name of path.split('.').filter(Boolean)) {
      if (!isRecord(value)) {
        if (value == null) return undefined;
        throw this.language.fault(`${whole}: there is no field ${name}`);
      }
      const key = Object.hasOwn(value, name)
        ? name
        : Object.keys(value).find((one) => one.toLowerCase() === name.toLowerCase());
      if (key === undefined) {
        // A map may lack a key; a thing that is described lacks a field only when it is misspelt.
        if (value === from)
          throw this.language.fault(
            `there is no field .${name}; there are ${Object.keys(value)
              .map((one) => `.${one}`)
              .join(', ')}`,
          );
        return undefined;
      }
      value = value[key];
    }
    return value;
  }
}

/** Go's own functions. */
export const GO_FUNCTIONS: Functions = {
  index: (value, ...keys) =>
    keys.reduce<unknown>((inner, key) => (isRecord(inner) ? inner[String(key)] : undefined), value),
  len: (value) =>
    typeof value === 'string' || Array.isArray(value) ? value.length : Object.keys(isRecord(value) ? value : {}).length,
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
export function show(value: unknown): string {
  if (value == null) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`;
  if (isRecord(value))
    return `map[${Object.keys(value)
      .sort()
      .map((key) => `${key}:${show(value[key])}`)
      .join(' ')}]`;
  return typeof value === 'string' ? value : stringifyExact(value);
}
