/** Reads a file of the Container Device Interface: https://github.com/cncf-tags/container-device-interface, SPEC.md, 1.1.0. */
import { Fields } from './fields.js';
import { isDeviceName, isKind } from './names.js';
import type { CdiDeviceNode, CdiEdits, CdiFile, CdiFileDevice, CdiHook, CdiIntelRdt, CdiMount } from './types.js';
import { CDI_VERSIONS, neededVersion } from './versions.js';

const FILE = ['cdiVersion', 'kind', 'annotations', 'devices', 'containerEdits'];
const DEVICE = ['name', 'annotations', 'containerEdits'];
const EDITS = ['env', 'deviceNodes', 'netDevices', 'hooks', 'mounts', 'intelRdt', 'additionalGids'];
const NODE = ['path', 'hostPath', 'type', 'major', 'minor', 'fileMode', 'permissions', 'uid', 'gid'];
const MOUNT = ['hostPath', 'containerPath', 'options', 'type'];
const HOOK = ['hookName', 'path', 'args', 'env', 'timeout'];
const RDT = ['closID', 'l3CacheSchema', 'memBwSchema', 'schemata', 'enableMonitoring'];

const HOOKS = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'];
const NODE_TYPES = ['b', 'c', 'u', 'p'];
const MAX_ID = 2 ** 32 - 1;
const MAX_NUMBER = Number.MAX_SAFE_INTEGER;
/** Of a directory of the kernel's resctrl. */
const MAX_CLOS = 4095;

/** @throws Error that says what is wrong in it */
export async function parseCdiFile(text: string): Promise<CdiFile> {
  const fields = new Fields(await documentOf(text), '', FILE);
  const version = (fields.text('cdiVersion') ?? '').replace(/^v/, '');
  if (!CDI_VERSIONS.includes(version))
    throw new Error(`its cdiVersion ${JSON.stringify(version)} is not supported: there are ${CDI_VERSIONS.join(', ')}`);
  const kind = fields.text('kind') ?? '';
  if (!isKind(kind)) throw new Error(`its kind ${JSON.stringify(kind)} is not of the form vendor.com/class`);
  const devices = (fields.objects('devices', DEVICE) ?? []).map(deviceOf);
  if (devices.length === 0) throw new Error('it has no devices');
  const twice = devices.find(({ name }, n) => devices.findIndex((one) => one.name === name) !== n);
  if (twice !== undefined) throw new Error(`it has two devices ${twice.name}`);
  const file = {
    version,
    kind,
    annotations: fields.record('annotations'),
    devices,
    edits: editsOf(fields.object('containerEdits', EDITS)),
  };
  const needed = neededVersion(file);
  if (CDI_VERSIONS.indexOf(needed) > CDI_VERSIONS.indexOf(version))
    throw new Error(`its cdiVersion is ${version}, and what it says is of ${needed}`);
  return file;
}

/** JSON is YAML, too. */
async function documentOf(text: string): Promise<unknown> {
  const { parseAllDocuments } = await import('yaml');
  const [document] = parseAllDocuments(text, { schema: 'failsafe', merge: true, logLevel: 'error' });
  if (document === undefined) throw new Error('it is empty');
  const [error] = document.errors;
  if (error !== undefined) throw new Error(error.message.split(/:?\n/)[0]);
  return document.toJS();
}

function deviceOf(fields: Fields): CdiFileDevice {
  const name = fields.text('name') ?? '';
  if (!isDeviceName(name)) throw new Error(`${fields.at('name')} ${JSON.stringify(name)} is no name of a device`);
  const edits = editsOf(fields.object('containerEdits', EDITS));
  if (Object.values(edits).every((one: unknown) => (Array.isArray(one) ? one.length === 0 : one === undefined)))
    throw new Error(`${fields.at('containerEdits')} of device ${name} says nothing`);
  return { name, annotations: fields.record('annotations'), edits };
}

function editsOf(fields: Fields | undefined): CdiEdits {
  const netDevices = (fields?.objects('netDevices', ['hostInterfaceName', 'name']) ?? []).map((one) => ({
    hostInterfaceName: required(one, 'hostInterfaceName'),
    name: required(one, 'name'),
  }));
  const rdt = fields?.object('intelRdt', RDT);
  return {
    env: environmentOf(fields, 'env') ?? [],
    deviceNodes: (fields?.objects('deviceNodes', NODE) ?? []).map(nodeOf),
    netDevices,
    hooks: (fields?.objects('hooks', HOOK) ?? []).map(hookOf),
    mounts: (fields?.objects('mounts', MOUNT) ?? []).map(mountOf),
    intelRdt: rdt === undefined ? undefined : rdtOf(rdt),
    additionalGids: fields?.integers('additionalGids', 0, MAX_ID) ?? [],
  };
}

function nodeOf(fields: Fields): CdiDeviceNode {
  const [type, permissions] = [fields.text('type'), fields.text('permissions')];
  if (type !== undefined && !NODE_TYPES.includes(type))
    throw new Error(`${fields.at('type')} ${JSON.stringify(type)} is none of ${NODE_TYPES.join(', ')}`);
  if (permissions !== undefined && permissions !== 'none' && !/^[rwm]+$/.test(permissions))
    throw new Error(`${fields.at('permissions')} ${JSON.stringify(permissions)} is neither of r, w and m nor none`);
  return {
    path: required(fields, 'path'),
    hostPath: fields.text('hostPath'),
    type,
    major: fields.integer('major', 0, MAX_NUMBER) ?? 0,
    minor: fields.integer('minor', 0, MAX_NUMBER) ?? 0,
    fileMode: fields.integer('fileMode', 0, MAX_ID),
    permissions,
    uid: fields.integer('uid', 0, MAX_ID),
    gid: fields.integer('gid', 0, MAX_ID),
  };
}

function mountOf(fields: Fields): CdiMount {
  return {
    hostPath: required(fields, 'hostPath'),
    containerPath: required(fields, 'containerPath'),
    type: fields.text('type'),
    options: fields.texts('options'),
  };
}

function hookOf(fields: Fields): CdiHook {
  const hookName = required(fields, 'hookName');
  if (!HOOKS.includes(hookName))
    throw new Error(`${fields.at('hookName')} ${JSON.stringify(hookName)} is none of ${HOOKS.join(', ')}`);
  return {
    hookName,
    path: required(fields, 'path'),
    args: fields.texts('args'),
    env: environmentOf(fields, 'env'),
    timeout: fields.integer('timeout', 1, MAX_NUMBER),
  };
}

function rdtOf(fields: Fields): CdiIntelRdt {
  const closID = fields.text('closID');
  if (closID !== undefined && closID !== '/' && (/^\.\.?$|[/\n]/.test(closID) || closID.length > MAX_CLOS))
    throw new Error(`${fields.at('closID')} ${JSON.stringify(closID)} is no name of a directory`);
  return {
    closID,
    l3CacheSchema: fields.text('l3CacheSchema'),
    memBwSchema: fields.text('memBwSchema'),
    schemata: fields.texts('schemata'),
    enableMonitoring: fields.boolean('enableMonitoring'),
  };
}

function environmentOf(fields: Fields | undefined, name: string): string[] | undefined {
  const settings = fields?.texts(name);
  const wrong = settings?.find((one) => one.indexOf('=') < 1);
  if (wrong !== undefined)
    throw new Error(`${fields!.at(name)}: ${JSON.stringify(wrong)} is not of the form NAME=VALUE`);
  return settings;
}

function required(fields: Fields, name: string): string {
  const text = fields.text(name);
  if (text === undefined) throw new Error(`${fields.at(name)} is missing`);
  return text;
}
