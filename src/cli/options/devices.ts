/** Which devices a container has: --device, --gpus, --device-cgroup-rule. */
import { resolve } from 'node:path';
import type { DeviceRule, SpecOptions } from '../../client/index.js';
import { UsageError } from '../errors.js';
import type { RunFlags } from '../program/run-flags.js';
import { fieldsOf } from './csv.js';

/** What the vendor's toolkit describes, a device for each and one for all. */
const GPU = 'nvidia.com/gpu=';

export function deviceOptions(flags: RunFlags): Pick<SpecOptions, 'devices' | 'cdiSpecDirs' | 'deviceRules'> {
  return {
    devices: [...(flags.device ?? []), ...(flags.gpus === undefined ? [] : gpus(flags.gpus))],
    cdiSpecDirs: flags.cdiSpecDir?.map((directory) => resolve(directory)),
    deviceRules: flags.deviceCgroupRule?.map(rule),
  };
}

/** `all`, a number, or `device=0,2`, as docker takes it; what capabilities they have is said by their descriptions. */
function gpus(text: string): string[] {
  const wrong = (why: string): UsageError =>
    new UsageError(`--gpus ${JSON.stringify(text)}: ${why}: it is all, a number, or '"device=0,1"'`);
  let names: string[] | undefined;
  for (const field of fieldsOf(text, '--gpus')) {
    const [, key = 'count', value = ''] = /^(?:([a-z]+)=)?(.*)$/s.exec(field) ?? [];
    if (key === 'capabilities' || key === 'options') continue;
    if (key === 'driver') {
      if (value !== 'nvidia' && value !== 'cdi') throw wrong(`there is no driver ${JSON.stringify(value)}`);
      continue;
    }
    if (names !== undefined) throw wrong('how many there are to be is said twice');
    if (key === 'device') names = value.split(',').filter(Boolean);
    else if (key !== 'count') throw wrong(`there is no ${JSON.stringify(key)}`);
    else if (value === 'all' || value === '-1') names = ['all'];
    else if (/^\d+$/.test(value)) names = Array.from({ length: Number(value) }, (_, n) => String(n));
    else throw wrong(`${JSON.stringify(value)} is no number`);
  }
  return (names ?? ['all']).map((name) => `${GPU}${name}`);
}

/** `c 10:* rwm`, as the kernel's devices.allow has it. */
function rule(text: string): DeviceRule {
  const [, type = '', major = '', minor = '', access = ''] =
    /^([abc]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (type === '')
    throw new UsageError(
      `--device-cgroup-rule ${JSON.stringify(text)}: it is TYPE MAJOR:MINOR ACCESS, such as 'c 10:* rwm'`,
    );
  const number = (digits: string): number | undefined => (digits === '*' ? undefined : Number(digits));
  return { type: type as DeviceRule['type'], major: number(major), minor: number(minor), access };
}
