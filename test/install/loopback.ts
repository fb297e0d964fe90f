/**
 * A real registry for npm on the loopback device: Verdaccio, with what `make packages` has made published there, and everything else from where
 * this machine's npm has it. It and pnpm are fetched once, into a cache (HAWSER_TOOLS, else ~/.cache/hawser/tools).
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { env, execPath } from 'node:process';
import { execa } from 'execa';
import { top, until } from '../support/daemons.js';

const TOOLS = {
  private: true,
  dependencies: { verdaccio: '6.8.0', pnpm: '12.4.2', npm: '10.9.4' },
  overrides: { 'node-fetch': '2.7.0' },
};

/** Their node_modules. */
export async function tools(): Promise<string> {
  const place = env.HAWSER_TOOLS ?? join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'hawser/tools');
  const text = JSON.stringify(TOOLS);
  if (!existsSync(join(place, 'package.json')) || readFileSync(join(place, 'package.json'), 'utf8') !== text) {
    const work = `${place}.${process.pid}`;
    mkdirSync(work, { recursive: true });
    writeFileSync(join(work, 'package.json'), text);
    await execa('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts'], {
      cwd: work,
      stdin: 'ignore',
    });
    writeFileSync(join(work, 'package.json'), text);
    rmSync(place, { recursive: true, force: true });
    renameSync(work, place);
  }
  return join(place, 'node_modules');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Registry {
  readonly #dir: string;
  #process: ChildProcess | undefined;
  url = '';

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** @param dir what it has and writes is there */
  static async start(dir: string): Promise<Registry> {
    const registry = new Registry(dir);
    mkdirSync(dir, { recursive: true });
    const port = await freePort();
    registry.url = `http://127.0.0.1:${port}/`;
    const of = async (key: string): Promise<string> =>
      (await execa('npm', ['config', 'get', key], { cwd: dir })).stdout;
    const cafile = await of('cafile');
    const all = { access: '$all', publish: '$all', unpublish: '$all' };
    // YAML is a superset of JSON.
    const config = {
      storage: join(dir, 'storage'),
      auth: { htpasswd: { file: join(dir, 'htpasswd') } },
      uplinks: {
        upstream: { url: await of('registry'), maxage: '60m' },
      },
      packages: { '@hawser/*': all, hawser: all, '**': { access: '$all', proxy: 'upstream' } },
      max_body_size: '100mb',
      web: { enable: false },
      log: { type: 'file', path: join(dir, 'log'), level: 'http' },
    };
    writeFileSync(join(dir, 'config.yaml'), JSON.stringify(config));
    registry.#process = spawn(
      execPath,
      [join(await tools(), 'verdaccio/bin/verdaccio'), '-c', join(dir, 'config.yaml'), '-l', `127.0.0.1:${port}`],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
        cwd: dir,
        env: { ...env, ...(cafile.startsWith('/') ? { NODE_EXTRA_CA_CERTS: cafile } : {}) },
      },
    );
    await until(
      'the registry to answer',
      async () => (await fetch(`${registry.url}-/ping`).catch(() => undefined))?.ok,
    );
    return registry;
  }

  /** What a client's environment has to have, with nothing of this machine's configuration. */
  environment(dir: string): NodeJS.ProcessEnv {
    const { PATH, HOME } = env;
    const userconfig = join(dir, 'npmrc');
    mkdirSync(dir, { recursive: true });
    writeFileSync(userconfig, `registry=${this.url}\n//${new URL(this.url).host}/:_authToken=nobody\n`);
    return {
      PATH,
      HOME,
      npm_config_userconfig: userconfig,
      npm_config_globalconfig: join(dir, 'none'),
      npm_config_registry: this.url,
      npm_config_cache: join(dir, 'cache'),
      npm_config_update_notifier: 'false',
      npm_config_fund: 'false',
      npm_config_audit: 'false',
    };
  }

  /** Publishes what was made, as it is, or as another version of it. */
  async publish(release: string, version?: string): Promise<void> {
    const archives = readdirSync(release).filter((file) => file.endsWith('.tgz'));
    assert.ok(archives.length >= 2, `${release} has no packages: run 'make packages'`);
    for (const archive of archives) {
      const work = join(this.#dir, `publish-${archive}`);
      mkdirSync(work, { recursive: true });
      await execa('tar', ['-C', work, '-xzf', join(release, archive)]);
      const root = join(work, 'package');
      if (version !== undefined) {
        const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
          version: string;
          optionalDependencies?: Record<string, string>;
        };
        manifest.version = version;
        for (const name of Object.keys(manifest.optionalDependencies ?? {}))
          manifest.optionalDependencies![name] = version;
        writeFileSync(join(root, 'package.json'), JSON.stringify(manifest));
      }
      const env = this.environment(join(this.#dir, 'publisher'));
      await execa('npm', ['publish', '--ignore-scripts', '--loglevel=error'], {
        cwd: root,
        env,
        extendEnv: false,
        stdin: 'ignore',
      });
      rmSync(work, { recursive: true });
    }
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child?.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill();
    await ended;
  }
}

export const release = join(top, 'dist/release');
