/** The HTTP endpoint that Prometheus asks. */
import { createServer, type Server } from 'node:http';
import type { Logger } from 'pino';
import type { Collector } from './collector.js';

/** containerd's, and the one that Prometheus takes unless told otherwise. */
const PATHS = ['/v1/metrics', '/metrics'];

/** Serves until it is closed. Rejects, with the address, when nobody can listen there. */
export async function serveMetrics(collector: Collector, address: string, log: Logger): Promise<Server> {
  const { host, port } = parseAddress(address);
  const server = createServer((request, response) => {
    const path = (request.url ?? '').replace(/[?#].*/, '');
    if (!PATHS.includes(path)) {
      response
        .writeHead(404, { 'content-type': 'text/plain' })
        .end(`there is nothing at ${path}; metrics are at ${PATHS.join(' and ')}\n`);
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    collector.text().then(
      (text) => void response.writeHead(200, { 'content-type': collector.contentType }).end(text),
      (error: unknown) => {
        log.error({ err: error }, 'failed to gather metrics');
        response.writeHead(500, { 'content-type': 'text/plain' }).end(`${String(error)}\n`);
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new Error(`cannot serve metrics at ${address}: ${error.message}; choose another address in [metrics]`, {
          cause: error,
        }),
      ),
    );
    server.listen(port, host, resolve);
  });
  return server;
}

/** `HOST:PORT`, `[::1]:PORT`, or `:PORT` for every interface. */
export function parseAddress(address: string): { host: string | undefined; port: number } {
  const [, bracketed, host, port] = /^(?:\[(.+)\]|([^:]*)):(\d+)$/.exec(address) ?? [];
  if (port === undefined || Number(port) > 65535)
    throw new Error(`${JSON.stringify(address)} is no address to serve metrics at: it must be like 127.0.0.1:1338`);
  return { host: (bracketed ?? host) || undefined, port: Number(port) };
}
