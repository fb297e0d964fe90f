/** Answers curl, or somebody with netcat: one request, one answer, the end. */
import type { Socket } from 'node:net';
import { prometheus, PROMETHEUS_TYPE } from './prometheus.js';
import { measure } from './metrics.js';
import type { Sources } from './sources.js';
import { takeState } from './state.js';

const MOST_REQUEST = 8192;
/** How long somebody may take to ask, and to read. */
const PATIENCE_MS = 30_000;

const HELP = `This is a container's shim. It answers
  GET /state    what it knows and what it waits for, as JSON
  GET /metrics  its figures, in Prometheus' text format
`;

interface Answer {
  status: string;
  type: string;
  body: string;
}

/** @param first what has been read of the request so far */
export function serveHttp(socket: Socket, first: Buffer, sources: Sources): void {
  let text = first.toString('latin1');
  let answered = false;
  const look = (isAll = false): void => {
    if (answered) return;
    const asked = parse(text);
    if (asked === undefined && text.length < MOST_REQUEST && !isAll) return;
    answered = true;
    void answerTo(asked?.path, sources).then((answer) => socket.end(asked?.bare ? answer.body : format(answer)));
  };
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  // What comes after the request is read and dropped: closing with something unread would reset the connection.
  socket.on('data', (chunk: Buffer) => {
    if (answered) return;
    text += chunk.toString('latin1');
    look();
  });
  // Netcat's user may have left out the end of the line.
  const ended = (): void => {
    text += '\n\n';
    look(true);
  };
  // It may have ended while this code was loaded.
  if (socket.readableEnded) ended();
  else socket.once('end', ended);
  look();
  socket.resume();
}

/** Undefined until the request is whole. `bare`: without HTTP's version, so without its headers in the answer too. */
function parse(text: string): { path: string; bare: boolean } | undefined {
  const line = /^([^\r\n]*)\r?\n/.exec(text)?.[1];
  if (line === undefined) return undefined;
  const [method, target = '', version] = line.split(' ');
  if (version !== undefined && !/\r?\n\r?\n/.test(text)) return undefined;
  return { path: method === 'GET' ? target.replace(/[?#].*/, '') : '', bare: version === undefined };
}

async function answerTo(path: string | undefined, sources: Sources): Promise<Answer> {
  try {
    switch (path) {
      case '/state':
        return {
          status: '200 OK',
          type: 'application/json',
          body: `${JSON.stringify(await takeState(sources), null, 2)}\n`,
        };
      case '/metrics':
        return { status: '200 OK', type: PROMETHEUS_TYPE, body: prometheus(await measure(sources), sources) };
      case '/':
        return { status: '200 OK', type: 'text/plain', body: HELP };
      case undefined:
      case '':
        return { status: '400 Bad Request', type: 'text/plain', body: `This is no request.\n${HELP}` };
      default:
        return { status: '404 Not Found', type: 'text/plain', body: `There is no ${path}.\n${HELP}` };
    }
  } catch (error) {
    return { status: '500 Internal Server Error', type: 'text/plain', body: `${(error as Error).stack}\n` };
  }
}

function format({ status, type, body }: Answer): string {
  return `HTTP/1.0 ${status}\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}
