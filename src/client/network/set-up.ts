/** What is done for a container when it starts and when it has ended: by the hooks of its runtime, whichever client and daemon there are. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { startOf } from '../process-start.js';
import { attach, attachingOf, detach, type Attaching } from './cni/attach.js';
import { hasCapability, readConfigs, type NetworkConfig } from './cni/config.js';
import { attachmentOf } from './cni/result.js';
import { codeOf, precondition, textOf } from './failure.js';
import { hostsText, namesOf, renewEtcHosts, resolvText, writeEtc, type Neighbour } from './files.js';
import { withLock } from './lock.js';
import { holdNamespace, isHeld, releaseNamespace } from './pin.js';
import type { Places } from './places.js';
import { clash, listeningPorts } from './ports.js';
import {
  allDirectories,
  bootId,
  hasEnded,
  neighboursOf,
  ownNamespaces,
  readRequest,
  readUp,
  removeDirectory,
  removeUp,
  writeUp,
  type Request,
  type Up,
} from './state.js';
import type { NetworkAttachment } from './types.js';

/**
 * Connects a container that is being created with its networks, and writes its files. When it fails, nothing of that is left.
 *
 * @param dir the container's directory of states
 * @param pid of its first process
 */
export async function setUp(dir: string, pid: number): Promise<void> {
  const request = readRequest(dir);
  if (request === undefined) throw new Error(`there is no ${join(dir, 'request.json')}: make the container again`);
  const { places } = request;
  await withLock(places.stateDir, async () => {
    await sweep(places);
    // It was started before, and nobody has seen its end.
    await release(dir);
    checkPorts(dir, request);
    const configs = request.wanted.map(({ name }) => configOf(places, name));
    const pin = pinOf(dir, places);
    const up: Up = {
      version: 1,
      bootId: bootId(),
      process: { pid, start: startOf(pid) ?? '' },
      namespaces: ownNamespaces(),
      pin,
      attachings: [],
    };
    writeUp(dir, up);
    try {
      await releaseNamespace(pin);
      await holdNamespace(pid, pin);
      await attachAll(dir, request, up, configs);
      writeFiles(dir, request);
    } catch (error) {
      try {
        await release(dir);
      } catch (failure) {
        throw new Error(`${textOf(error)} (and not all of it could be taken back: ${textOf(failure)})`, {
          cause: error,
        });
      }
      throw error;
    }
    renewNeighbours(dir);
  });
}

/** Where a container's network namespace is held while it runs. */
export function pinOf(dir: string, { pinDir }: Pick<Places, 'pinDir'>): string {
  return join(pinDir, `${basename(dirname(dir))}-${basename(dir)}`);
}

/** Takes a container out of its networks, once it has ended. Does nothing when that has been done. */
export async function tearDown(dir: string): Promise<void> {
  const request = readRequest(dir);
  if (request === undefined) return;
  await withLock(request.places.stateDir, async () => {
    await release(dir);
    renewNeighbours(dir);
  });
}

/**
 * Gives back what containers hold that have ended and whose end no hook has seen. To be called with the lock.
 *
 * @returns what could not be given back
 */
export async function sweep(places: Places): Promise<string[]> {
  const failures: string[] = [];
  for (const dir of allDirectories(places)) {
    try {
      const up = readUp(dir);
      if (up === undefined || !hasEnded(up)) continue;
      await release(dir);
      renewNeighbours(dir);
    } catch (error) {
      failures.push(`container ${basename(dir)}: ${textOf(error)}`);
    }
  }
  return failures;
}

/** Undoes all that was done for a container; what fails is kept, to be tried again. To be called with the lock. */
export async function release(dir: string): Promise<void> {
  const up = readUp(dir);
  if (up === undefined) return;
  const request = readRequest(dir);
  if (request === undefined) return removeUp(dir);
  const netns = isHeld(up.pin) ? up.pin : '';
  const left: Attaching[] = [];
  const failures: string[] = [];
  for (const attaching of [...up.attachings].reverse()) {
    try {
      await detach(request.places, attaching, netns);
    } catch (error) {
      left.unshift(attaching);
      failures.push(textOf(error));
    }
  }
  await releaseNamespace(up.pin);
  if (failures.length === 0) return removeUp(dir);
  const failure = failures.join('; ');
  writeUp(dir, { ...up, attachings: left, failure });
  throw new Error(failure);
}

/** A container is no more: gives back what no hook has, as after a restart of the machine, and removes its directory. */
export async function forget(places: Places, dir: string): Promise<void> {
  if (!existsSync(dir)) return;
  await withLock(places.stateDir, async () => {
    await release(dir);
    renewNeighbours(dir);
    removeDirectory(dir);
  });
}

/** The interfaces of a container that runs. */
export function attachmentsOf(up: Up | undefined): NetworkAttachment[] {
  return (up?.attachings ?? []).flatMap(({ network, interface: name, result }) =>
    result === undefined ? [] : [attachmentOf(network, name, result)],
  );
}

async function attachAll(dir: string, request: Request, up: Up, configs: readonly NetworkConfig[]): Promise<void> {
  let attachings: Attaching[] = [];
  // Ports belong to the first network that can publish them.
  const publishing = configs.findIndex((config) => hasCapability(config, 'portMappings'));
  if (request.ports.length > 0 && publishing < 0)
    throw precondition(
      `network ${request.wanted[0]?.name ?? ''} publishes no ports: the plugin portmap is not in its configuration`,
    );
  for (const [i, config] of configs.entries()) {
    const { interface: name, args } = request.wanted[i]!;
    const attaching = attachingOf(config, {
      interface: name,
      containerId: `${basename(dirname(dir))}-${request.id}`,
      netns: up.pin,
      args,
      ports: i === publishing ? request.ports : [],
    });
    // Before it is done, so that it is undone whatever becomes of this process.
    writeUp(dir, { ...up, attachings: [...attachings, attaching] });
    const result = await attach(request.places, attaching);
    attachings = [...attachings, { ...attaching, result }];
    writeUp(dir, { ...up, attachings });
  }
}

function configOf(places: Places, name: string): NetworkConfig {
  const config = readConfigs(places).find((one) => one.name === name);
  if (config === undefined)
    throw precondition(
      `network ${name} is not there any more: no file of ${places.confDir} has it; make it by \`hawser network create\``,
    );
  return config;
}

function checkPorts(dir: string, { ports, places }: Request): void {
  if (ports.length === 0) return;
  for (const other of allDirectories(places).filter((one) => one !== dir)) {
    const taken = (readUp(other)?.attachings ?? []).flatMap((one) => one.ports);
    const port = ports.find((one) => taken.some((theirs) => clash(one, theirs)));
    if (port !== undefined)
      throw precondition(
        `port ${port.hostPort}/${port.protocol} of the host's leads to container ${basename(other)} already: stop that, or publish another port`,
      );
  }
  const listening = listeningPorts();
  const port = ports.find((one) => listening.some((theirs) => clash(one, theirs)));
  if (port !== undefined)
    throw precondition(
      `a program of the host's listens on port ${port.hostPort}/${port.protocol} (\`ss -lpn\` tells which): end it, or publish another port`,
    );
}

function writeFiles(dir: string, request: Request): void {
  writeEtc(dir, 'hosts', hostsText(request, attachmentsOf(readUp(dir)), neighbours(dir)));
  writeEtc(dir, 'resolv.conf', resolvText(request.resolving));
}

function neighbours(dir: string): Neighbour[] {
  return neighboursOf(dir).flatMap((other) => {
    const attachments = attachmentsOf(readUp(other));
    const request = attachments.length > 0 ? readRequest(other) : undefined;
    return request === undefined ? [] : [{ names: namesOf(request), attachments }];
  });
}

/** Has those who share a network with it know of it, or of its end. */
function renewNeighbours(dir: string): void {
  for (const other of neighboursOf(dir)) {
    const attachments = attachmentsOf(readUp(other));
    const request = attachments.length > 0 ? readRequest(other) : undefined;
    if (request === undefined) continue;
    try {
      renewEtcHosts(other, request, attachments, neighbours(other));
    } catch (error) {
      // It is being removed.
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }
}
