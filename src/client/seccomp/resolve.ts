/** From a profile to what the runtime is told, for one container on this machine. */
import { release } from 'node:os';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import type { SeccompFilter, SeccompProfile, SeccompProfileRule, SeccompRule, SpecSeccomp } from './types.js';

/** Node's names of architectures, as profiles call them and as libseccomp does. */
const ARCHES: Readonly<Record<string, readonly [profile: string, native: string]>> = {
  x64: ['amd64', 'X86_64'],
  ia32: ['x86', 'X86'],
  arm64: ['arm64', 'AARCH64'],
  arm: ['arm', 'ARM'],
  loong64: ['loong64', 'LOONGARCH64'],
  ppc64: ['ppc64le', 'PPC64LE'],
  riscv64: ['riscv64', 'RISCV64'],
  s390x: ['s390x', 'S390X'],
};

/** What a profile's rules depend on. */
export interface SeccompPlace {
  /** The container's bounding set, `CAP_NAME` each. */
  readonly capabilities: readonly string[];
  /** As Node has it (`process.arch`). Default: this machine's. */
  readonly arch?: string;
  /** The kernel's release. Default: this machine's. */
  readonly kernel?: string;
}

/**
 * The rules that are in force for a container.
 *
 * @returns undefined for a profile that says nothing: no filter, as docker takes it
 * @throws InvalidArgumentError
 */
export function resolveSeccomp(profile: SeccompProfile, place: SeccompPlace): SpecSeccomp | undefined {
  const { archMap = [], architectures = [], syscalls, defaultAction, ...rest } = profile;
  // It may have come from a file.
  if (![syscalls ?? [], archMap, architectures].every((list) => Array.isArray(list)))
    throw invalid('its syscalls, archMap and architectures must be lists');
  const rules = syscalls ?? [];
  if (!defaultAction && rules.length === 0) return undefined;
  if (!defaultAction) throw invalid('it has no defaultAction');
  if (archMap.length > 0 && architectures.length > 0)
    throw invalid('it has both architectures and archMap: leave one of them out');
  const { capabilities, arch = process.arch, kernel = release() } = place;
  const [name, native] = ARCHES[arch] ?? [arch, arch.toUpperCase()];
  const entry = archMap.find(({ architecture }) => architecture === `SCMP_ARCH_${native}`);
  const all = entry ? [entry.architecture, ...(entry.subArchitectures ?? [])] : [...architectures];
  const has = {
    caps: (cap: string): boolean => capabilities.includes(cap),
    arches: (one: string): boolean => one === name,
    kernel: (version: string): boolean => isAtLeast(kernel, version),
  };
  const kept = rules.filter(({ includes, excludes }) => holds(includes, has) && !isOut(excludes, has));
  const { defaultErrnoRet, flags, listenerPath, listenerMetadata } = rest;
  return {
    defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    ...(all.length === 0 ? {} : { architectures: all }),
    ...(flags === undefined ? {} : { flags: [...flags] }),
    ...(listenerPath === undefined ? {} : { listenerPath }),
    ...(listenerMetadata === undefined ? {} : { listenerMetadata }),
    syscalls: kept.map(ruleOf),
  };
}

interface Has {
  readonly caps: (cap: string) => boolean;
  readonly arches: (arch: string) => boolean;
  readonly kernel: (version: string) => boolean;
}

function holds(filter: SeccompFilter | undefined, has: Has): boolean {
  const { caps = [], arches = [], minKernel } = filter ?? {};
  return (
    caps.every(has.caps) && (arches.length === 0 || arches.some(has.arches)) && (!minKernel || has.kernel(minKernel))
  );
}

function isOut(filter: SeccompFilter | undefined, has: Has): boolean {
  const { caps = [], arches = [], minKernel } = filter ?? {};
  return caps.some(has.caps) || arches.some(has.arches) || (!!minKernel && has.kernel(minKernel));
}

function ruleOf({ name, names = [], action, errnoRet, args }: SeccompProfileRule): SeccompRule {
  if (name && names.length > 0) throw invalid(`a rule has both name (${name}) and names: leave one of them out`);
  const calls = name ? [name] : names;
  if (!Array.isArray(calls) || calls.length === 0 || calls.some((one) => typeof one !== 'string') || !action)
    throw invalid(`a rule has no names, or no action: ${JSON.stringify({ names: calls, action })}`);
  return {
    names: [...(calls as readonly string[])],
    action,
    ...(errnoRet === undefined ? {} : { errnoRet }),
    ...(args && args.length > 0 ? { args: args.map((one) => ({ ...one })) } : {}),
  };
}

/** By the first two numbers, as docker compares them. */
function isAtLeast(kernel: string, version: string): boolean {
  const wanted = /^(\d+)\.(\d+)$/.exec(version);
  if (wanted === null) throw invalid(`minKernel ${JSON.stringify(version)} is not of the form 4.8`);
  const [, major = 0, minor = 0] = /^(\d+)\.(\d+)/.exec(kernel) ?? [];
  const [first, second] = [Number(wanted[1]), Number(wanted[2])];
  return Number(major) > first || (Number(major) === first && Number(minor) >= second);
}

function invalid(why: string): InvalidArgumentError {
  return new InvalidArgumentError(Code.InvalidArgument, `seccomp profile: ${why}: invalid argument`);
}
