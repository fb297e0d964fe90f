/** Names of images as registries are asked for them. */
import { normalize } from '../../oci/image-name.js';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';

/** The parts of an image's name. It has a tag or a digest, never both. */
export interface Reference {
  /** The whole: `docker.io/library/busybox:latest`. */
  readonly name: string;
  /** The registry, with its port: `docker.io`. */
  readonly domain: string;
  /** The repository there: `library/busybox`. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]+)?`;
const WORD = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const REFERENCE = new RegExp(
  `^(?<domain>${DOMAIN})/(?<path>${WORD}(?:/${WORD})*)(?::(?<tag>\\w[\\w.-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$`,
);
const MAX_NAME = 255;

/**
 * Reads a name as docker and containerd do: `busybox` is `docker.io/library/busybox:latest`. Where there is a digest, a tag does
 * not count.
 *
 * @throws InvalidArgumentError that says what a name looks like
 */
export function parseReference(text: string): Reference {
  const groups = REFERENCE.exec(normalize(text))?.groups;
  if (groups === undefined || /^[0-9a-f]{64}$/.test(text)) throw invalid(text, why(text));
  const { domain = '', path = '', tag, digest } = groups;
  if (path.length + domain.length + 1 > MAX_NAME) throw invalid(text, `it has more than ${MAX_NAME} letters`);
  const name = `${domain}/${path}${digest === undefined ? `:${tag ?? 'latest'}` : `@${digest}`}`;
  return { name, domain, path, tag: digest === undefined ? (tag ?? 'latest') : undefined, digest };
}

/** What stands behind the repository's path in a registry's addresses. */
export function referent({ tag, digest }: Reference): string {
  return digest ?? tag ?? 'latest';
}

function why(text: string): string {
  if (text === '') return 'it is empty';
  if (/^[a-z]+:\/\//.test(text)) return 'it is the name of an image, without a scheme such as https://';
  if (/^[0-9a-f]{64}$/.test(text)) return 'it would be taken for a digest';
  if (/[A-Z]/.test(text.replace(/[:@].*$/, ''))) return 'a repository has small letters only';
  return 'it must be of the form [REGISTRY/]REPOSITORY[:TAG][@sha256:DIGEST]';
}

function invalid(text: string, reason: string): InvalidArgumentError {
  return new InvalidArgumentError(
    Code.InvalidArgument,
    `${JSON.stringify(text)} is no name of an image: ${reason}: invalid argument`,
  );
}
