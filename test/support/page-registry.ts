/**
 * docker.io of a page's sandbox: a registry on this machine that has busybox, and whose name stands for it as a mirror's does. Runs until
 * it is killed.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { ScriptedRegistry } from './scripted-registry.js';

const { ROOTFS = '', SANDBOX = '' } = process.env;
const DIRECTORY = '/etc/containerd/certs.d/docker.io';

const registry = await ScriptedRegistry.start();
const layer = execFileSync('tar', ['-C', ROOTFS, '-cf', '-', '.'], { maxBuffer: 64 << 20 });
registry.putImage('library/busybox', 'latest', [layer], { config: { Env: ['PATH=/bin'], Cmd: ['sh'] } });
mkdirSync(DIRECTORY, { recursive: true });
writeFileSync(`${DIRECTORY}/hosts.toml`, `server = "http://${registry.host}"\n`);
writeFileSync(`${SANDBOX}/registry`, '');
