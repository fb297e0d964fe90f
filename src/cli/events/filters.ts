/** Which events are shown: docker's filters are looked at here, containerd's own by the daemon. */
import type { EventEnvelope } from '../../client/index.js';
import { UsageError } from '../errors.js';
import { containerOf, type KnownContainers } from './known.js';

const OWN = ['container', 'event', 'id', 'image', 'label', 'type'];

/** What docker calls what containerd tells of; of an exit, whose. */
const EVENTS: Readonly<Record<string, readonly string[]>> = {
  destroy: ['/containers/delete'],
  die: ['/tasks/exit'],
  exec_create: ['/tasks/exec-added'],
  exec_die: ['/tasks/exit'],
  exec_start: ['/tasks/exec-started'],
  pause: ['/tasks/paused'],
  unpause: ['/tasks/resumed'],
  untag: ['/images/delete'],
};

/** What docker counts among its types. */
const TYPES: Readonly<Record<string, readonly string[]>> = { container: ['containers', 'tasks'] };

export interface EventFilters {
  /** containerd's. */
  readonly daemons: readonly string[];
  /** They are about what containers are made of, which must be known. */
  readonly wantsContainers: boolean;
  accepts(envelope: EventEnvelope, known: KnownContainers): boolean;
}

/** Of one name any may hold, of several names each must, as docker has it. @throws UsageError */
export function eventFilters(texts: readonly string[]): EventFilters {
  const daemons: string[] = [];
  const own = new Map<string, string[]>();
  for (const text of texts) {
    const [, name, value = ''] = /^([a-z]+)=(?!=)(.*)$/s.exec(text) ?? [];
    if (name !== undefined && OWN.includes(name)) own.set(name, [...(own.get(name) ?? []), value]);
    else if (/==|~=|!=/.test(text)) daemons.push(text);
    else
      throw new UsageError(
        `--filter ${JSON.stringify(text)}: there are ${OWN.join(', ')}, as event=die, and containerd's filters such as topic~=/tasks/`,
        'events',
      );
  }
  return {
    daemons,
    wantsContainers: own.has('container') || own.has('image') || own.has('label'),
    accepts: (envelope, known) =>
      [...own].every(([name, values]) => values.some((value) => holds(name, value, envelope, known))),
  };
}

function holds(name: string, value: string, envelope: EventEnvelope, known: KnownContainers): boolean {
  const id = containerOf(envelope);
  switch (name) {
    case 'container':
      return /^\/(containers|tasks)\//.test(envelope.topic) && (id.startsWith(value) || known.nameOf(id) === value);
    case 'id':
      return id !== '' && id.startsWith(value);
    case 'event':
      return isEvent(value, envelope);
    case 'image':
      return (isOfImages(envelope) ? [id] : [known.imageOf(id)]).some(
        (image) => image !== undefined && isImage(image, value),
      );
    case 'label':
      return hasLabel(known.labelsOf(id), value);
    default:
      return isOfType(value, envelope);
  }
}

function isEvent(value: string, { topic, event }: EventEnvelope): boolean {
  const topics = EVENTS[value];
  if (topics === undefined) return topic.split('/').at(-1) === value;
  if (!topics.includes(topic)) return false;
  if (topic !== '/tasks/exit') return true;
  const isExec = event?.id !== '' && event?.id !== event?.containerId;
  return isExec === (value === 'exec_die');
}

function isOfType(value: string, { topic }: EventEnvelope): boolean {
  const [, kind = ''] = topic.split('/');
  return (TYPES[value] ?? []).includes(kind) || kind.replace(/s$/, '') === value.replace(/s$/, '');
}

function isOfImages({ topic }: EventEnvelope): boolean {
  return topic.startsWith('/images/');
}

/** With a tag or without, and by the short names of docker.io. */
function isImage(name: string, value: string): boolean {
  const short = name.replace(/^docker\.io\/(library\/)?/, '');
  const plain = name.replace(/^docker\.io\//, '');
  return [name, short, plain].some((one) => one === value || one.replace(/@.*$/, '').replace(/:[^/:]*$/, '') === value);
}

function hasLabel(labels: Readonly<Record<string, string>> | undefined, value: string): boolean {
  const at = value.indexOf('=');
  const label = labels?.[at < 0 ? value : value.slice(0, at)];
  return label !== undefined && (at < 0 || label === value.slice(at + 1));
}
