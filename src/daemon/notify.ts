import { sendDatagram } from '../sys/index.js';

/**
 * Tells the service manager how the daemon is (sd_notify(3)). Without NOTIFY_SOCKET there is none. The variable is taken
 * away, so that shims and what they start cannot speak for the daemon.
 */
export class ServiceManager {
  readonly #socket: string | undefined;

  constructor(
    environment: NodeJS.ProcessEnv,
    private readonly failed: (error: Error) => void,
  ) {
    const given = environment.NOTIFY_SOCKET;
    delete environment.NOTIFY_SOCKET;
    this.#socket = given?.replace(/^@/, '\0') || undefined;
  }

  ready(): void {
    this.#send(`READY=1\nMAINPID=${process.pid}`);
  }

  stopping(): void {
    this.#send('STOPPING=1');
  }

  #send(state: string): void {
    if (this.#socket === undefined) return;
    try {
      sendDatagram(this.#socket, state);
    } catch (error) {
      this.failed(error as Error);
    }
  }
}
