/**
 * Failpoints: a container's annotations make calls of the Task service fail, on purpose and on schedule, by the grammar of
 * containerd's own failpoint shim. Only a shim that is executed as {@link PROGRAM} looks at them (see main.ts).
 *
 *     io.containerd.runtime.v2.shim.failpoint.Create = 1*off->2*error(please retry)->1*delay(500)->1*panic(oops)
 */
import { unknown } from '../../api/errdefs.js';
import type { ServerInterceptor } from '../../ttrpc/index.js';

const PREFIX = 'io.containerd.runtime.v2.shim.failpoint.';
/** setTimeout takes no longer delay. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

type Action = { type: 'off' } | { type: 'error' | 'panic'; text: string } | { type: 'delay'; ms: number };

/** One term: an action, and how often it is still to be taken. */
export type Term = Action & { count: number };

/**
 * Parses `<count>*<type>[(argument)]`, and more such terms after `->`: `off`, `error(text)`, `panic(text)`, `delay(ms)`. A
 * text has no `)` in it.
 *
 * @throws naming what is wrong, and where
 */
export function parseTerms(text: string): Term[] {
  const terms: Term[] = [];
  let rest = text;
  for (;;) {
    const count = /^(\d+)\*/.exec(rest);
    if (!count)
      throw new Error(`a term must begin with a count and "*", such as "1*off", not with ${JSON.stringify(rest)}`);
    rest = rest.slice(count[0].length);
    const action = /^(?:(off)|(error|panic)\(([^)]+)\)|(delay)\((\d+)\))/.exec(rest);
    if (!action)
      throw new Error(
        `off, error(text), panic(text) or delay(milliseconds) must follow the count, not ${JSON.stringify(rest)}`,
      );
    terms.push({ count: Number(count[1]), ...actionOf(action) });
    rest = rest.slice(action[0].length);
    if (rest === '') return terms;
    if (!rest.startsWith('->')) throw new Error(`"->" must follow a term, not ${JSON.stringify(rest)}`);
    rest = rest.slice('->'.length);
  }
}

function actionOf([, off, texted, text = '', , ms]: RegExpExecArray): Action {
  if (off) return { type: 'off' };
  return texted ? { type: texted as 'error' | 'panic', text } : { type: 'delay', ms: Number(ms) };
}

/**
 * The failpoints of a container, as an interceptor of the server.
 *
 * @param panic ends the process at once, as a crash would
 * @throws when an annotation can't be understood, with its name
 */
export function failpoints(
  annotations: Record<string, string> | undefined,
  panic: (text: string) => void,
): ServerInterceptor {
  const points = new Map<string, Term[]>();
  for (const [key, value] of Object.entries(annotations ?? {})) {
    if (!key.startsWith(PREFIX)) continue;
    try {
      points.set(key.slice(PREFIX.length), parseTerms(value));
    } catch (error) {
      throw new Error(
        `annotation ${key}: failpoint ${JSON.stringify(value)} cannot be understood: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }
  return ({ method }, _request, next) => {
    const term = points.get(method)?.find(({ count }) => count > 0);
    if (!term) return next();
    term.count--;
    switch (term.type) {
      case 'off':
        return next();
      case 'error':
        throw unknown(term.text);
      case 'panic':
        panic(`failpoint ${method}: ${term.text}`);
        return next();
      case 'delay':
        return new Promise((resolve) => setTimeout(resolve, Math.min(term.ms, LONGEST_DELAY_MS))).then(next);
    }
  };
}
