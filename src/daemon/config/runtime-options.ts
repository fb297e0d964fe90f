/** Options of a configured runtime, as the message that its shim is given. */
import { containerd, pack, type google } from '../../api/full.js';
import { didYouMean } from '../../text/nearest.js';

const { Options } = containerd.runc.v1;

const KINDS = {
  NoPivotRoot: 'boolean',
  NoNewKeyring: 'boolean',
  ShimCgroup: 'string',
  IoUid: 'number',
  IoGid: 'number',
  BinaryName: 'string',
  Root: 'string',
  CriuPath: 'string',
  SystemdCgroup: 'boolean',
  CriuImagePath: 'string',
  CriuWorkPath: 'string',
} as const;

const plain = (name: string): string => name.toLowerCase().replaceAll('_', '');
const NAMES = new Map(Object.keys(KINDS).map((name) => [plain(name), name as keyof typeof KINDS]));

/**
 * @param given names as containerd's own configuration has them: in any case, with or without underscores
 * @param fault makes the error for a key
 */
export function runtimeOptions(
  given: Readonly<Record<string, unknown>>,
  fault: (key: string, message: string) => Error,
): google.protobuf.Any.$Properties | undefined {
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    const name = NAMES.get(plain(key));
    if (name === undefined) throw fault(key, `unknown option ${key}${didYouMean(key, Object.keys(KINDS))}`);
    if (typeof value !== KINDS[name])
      throw fault(
        key,
        `${key} must be ${KINDS[name] === 'string' ? 'a text in quotes' : KINDS[name] === 'number' ? 'a whole number' : 'true or false'}`,
      );
    options[name[0]!.toLowerCase() + name.slice(1)] = value;
  }
  if (Object.keys(options).length === 0) return undefined;
  return pack('containerd.runc.v1.Options', Options, options as containerd.runc.v1.Options.$Properties);
}
