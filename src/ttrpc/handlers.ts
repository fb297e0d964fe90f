/** What answers a service's methods, by their kinds. */
import type { CallContext } from './call-context.js';
import type { AnyMethod, MethodDefinition, ServiceDefinition } from './service.js';

/** The function that answers one method. `Context` is what the server tells it besides the request. */
export type Handler<M extends AnyMethod, Context = CallContext> =
  M extends MethodDefinition<infer Kind, infer _ReqInit, infer Req, infer ResInit, infer _Res>
    ? Kind extends 'unary'
      ? (request: Req, context: Context) => ResInit | Promise<ResInit>
      : Kind extends 'serverStream'
        ? (request: Req, context: Context) => AsyncIterable<ResInit> | Iterable<ResInit>
        : Kind extends 'clientStream'
          ? (requests: AsyncIterable<Req>, context: Context) => ResInit | Promise<ResInit>
          : (requests: AsyncIterable<Req>, context: Context) => AsyncIterable<ResInit> | Iterable<ResInit>
    : never;

/** What answers a service: an object with a function for each method, or for some. The rest are Unimplemented. */
export type Handlers<S extends ServiceDefinition, Context = CallContext> = {
  readonly [Name in keyof S['methods']]?: Handler<S['methods'][Name], Context>;
};

/** A method with what answers it. */
export interface BoundMethod {
  readonly definition: AnyMethod;
  readonly run: (input: unknown, context: CallContext) => unknown;
}

/** Finds methods by the names that a request gives. Names come from outside, so they are never looked up in an object. */
export class MethodTable {
  readonly #services = new Map<string, Map<string, BoundMethod>>();

  add<S extends ServiceDefinition>(service: S, handlers: Handlers<S>): void {
    let methods = this.#services.get(service.name);
    if (methods === undefined) this.#services.set(service.name, (methods = new Map<string, BoundMethod>()));
    for (const [name, definition] of Object.entries(service.methods)) {
      const handler = memberOf(handlers, name);
      if (typeof handler !== 'function') continue;
      if (methods.has(name)) throw new Error(`${service.name}/${name} has a handler already`);
      const run = (handler as BoundMethod['run']).bind(handlers);
      methods.set(name, { definition, run });
    }
  }

  service(name: string): ReadonlyMap<string, BoundMethod> | undefined {
    return this.#services.get(name);
  }
}

/** A member of an object or of its classes, but not what every object has, such as `toString` or `constructor`. */
export function memberOf(object: object, name: string): unknown {
  for (
    let at: object | null = object;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object | null
  ) {
    if (Object.hasOwn(at, name) && (name !== 'constructor' || at === object))
      return (object as Record<string, unknown>)[name];
  }
  return undefined;
}
