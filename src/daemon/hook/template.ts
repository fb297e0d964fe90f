/** Templates of `oci-hook`: what of Go's language needs no data but the functions that containerd gives them. */
import { compileTemplate, GO_FUNCTIONS, type Functions, type Language } from '../../oci/template.js';
import type { HookState } from './state.js';

/** A function that was called as it cannot be. */
class Misuse extends Error {
  override readonly name = 'Misuse';
}

/** The functions; `root` is that of the bundle. An annotation that the container has not is empty. */
function functionsOf(state: HookState, root: string): Functions {
  const constant = (name: string, value: string | number) => {
    return (...args: unknown[]): string | number => {
      if (args.length > 0) throw new Misuse(`${name} takes no argument`);
      return value;
    };
  };
  const { eq, ne, and, or, not, printf } = GO_FUNCTIONS;
  const alike = (name: string, compare: Functions[string]): Functions[string] => {
    return (first, second, ...more) => {
      if (second === undefined || (name === 'ne' && more.length > 0)) throw new Misuse(`${name} compares two values`);
      const other = [second, ...more].find((one) => typeof one !== typeof first);
      if (other !== undefined)
        throw new Misuse(`${name} cannot compare ${JSON.stringify(first)} with ${JSON.stringify(other)}`);
      return compare(first, second, ...more);
    };
  };
  const some = (name: string, call: Functions[string]): Functions[string] => {
    return (...args) => {
      if (args.length === 0) throw new Misuse(`${name} needs an argument`);
      return call(...args);
    };
  };
  return {
    id: constant('id', state.id),
    bundle: constant('bundle', state.bundle),
    rootfs: constant('rootfs', root),
    pid: constant('pid', state.pid),
    status: constant('status', state.status),
    annotation: (...args) => {
      const [key] = args;
      if (args.length !== 1 || typeof key !== 'string')
        throw new Misuse('annotation takes one argument, the name of an annotation as a text');
      return Object.hasOwn(state.annotations, key) ? state.annotations[key] : '';
    },
    eq: alike('eq', eq!),
    ne: alike('ne', ne!),
    and: some('and', and!),
    or: some('or', or!),
    not: some('not', not!),
    printf: some('printf', printf!),
  };
}

/**
 * Renders templates for one container.
 *
 * @returns a function of a text and of what it is, for errors
 */
export function hookTemplates(state: HookState, root: string): (text: string, what: string) => string {
  const functions = functionsOf(state, root);
  return (text, what) => {
    const language: Language = {
      functions,
      data: false,
      fault: (reason) => new Error(`${what} ${JSON.stringify(text)}: ${reason}`),
    };
    if (!text.includes('{{')) return text;
    try {
      return compileTemplate(text, language)();
    } catch (error) {
      throw error instanceof Misuse ? language.fault(error.message) : error;
    }
  };
}
