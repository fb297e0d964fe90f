/** Plugins of the standard (CNI) that do as a test says, and write down what they were called with. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface PluginCall {
  readonly type: string;
  readonly command: string;
  readonly container: string;
  readonly netns: string;
  readonly interface: string;
  readonly args: string;
  readonly config: Record<string, unknown>;
}

export class FakePlugins {
  readonly bin: string;
  readonly conf: string;

  constructor(private readonly dir: string) {
    this.bin = join(dir, 'plugins');
    this.conf = join(dir, 'fake-conf');
    mkdirSync(this.bin, { recursive: true });
    mkdirSync(this.conf, { recursive: true });
  }

  /** @param fails by command: what it says when it fails */
  plugin(type: string, result: object, fails: Readonly<Record<string, string>> = {}): void {
    const cases = Object.entries(fails).map(
      ([command, message]) =>
        `[ "$CNI_COMMAND" = ${command} ] && { echo '${JSON.stringify({ cniVersion: '0.4.0', code: 100, msg: message })}'; exit 1; }`,
    );
    const script = `#!/bin/sh
config=$(cat)
printf '{"type":"${type}","command":"%s","container":"%s","netns":"%s","interface":"%s","args":"%s","config":%s}\\n' \\
  "$CNI_COMMAND" "$CNI_CONTAINERID" "$CNI_NETNS" "$CNI_IFNAME" "$CNI_ARGS" "$(echo "$config" | tr -d '\\n')" >>'${this.log}'
${cases.join('\n')}
[ "$CNI_COMMAND" = ADD ] && echo '${JSON.stringify({ cniVersion: '0.4.0', ...result })}'
exit 0
`;
    writeFileSync(join(this.bin, type), script, { mode: 0o755 });
  }

  /** A network of these plugins. */
  network(name: string, ...plugins: readonly object[]): void {
    writeFileSync(join(this.conf, `${name}.conflist`), JSON.stringify({ cniVersion: '0.4.0', name, plugins }));
  }

  get calls(): PluginCall[] {
    if (!existsSync(this.log)) return [];
    return readFileSync(this.log, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as PluginCall);
  }

  /** What was called, in order: `bridge ADD`. */
  get order(): string[] {
    return this.calls.map(({ type, command }) => `${type} ${command}`);
  }

  forgetCalls(): void {
    writeFileSync(this.log, '');
  }

  private get log(): string {
    return join(this.dir, 'calls');
  }
}
