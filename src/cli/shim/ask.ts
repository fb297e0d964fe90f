/** Asks a shim of Hawser's for its state or its metrics (README, "When something is stuck"). */
import { get } from 'node:http';
import { CliError } from '../errors.js';

const PATIENCE_MS = 10_000;

/** @param socket path of the shim's socket; @param topic `state` or `metrics` */
export function askShim(socket: string, topic: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ socketPath: socket, path: `/${topic}`, timeout: PATIENCE_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(body);
        else reject(new CliError(`the shim at ${socket} says: ${body.trim()}`));
      });
    });
    request.once('timeout', () =>
      request.destroy(
        new CliError(
          `the shim at ${socket} has not answered for ${PATIENCE_MS / 1000} s: it is stuck; the stacks in /proc tell more`,
        ),
      ),
    );
    request.once('error', (error) => {
      if (error instanceof CliError) reject(error);
      else
        reject(
          new CliError(
            `the shim at ${socket} is not Hawser's, or not of this version, and has no state to show: ${error.message}`,
            1,
            { cause: error },
          ),
        );
    });
  });
}
