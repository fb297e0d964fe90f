/** What of several things is pruned: --filter, as docker takes it. */
import { UsageError } from '../errors.js';
import { parseMoment } from '../format/time.js';

export interface Pruneable {
  readonly createdAt: Date | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** All filters hold. What has no time of its own is older than any. */
export function accepting(filters: readonly string[] = []): (one: Pruneable) => boolean {
  const all = filters.map((text) => {
    const [, name, value = ''] = /^([a-z]+!?)=(.*)$/s.exec(text) ?? [];
    if (name === 'until') {
      const moment = parseMoment(value, '--filter until');
      return ({ createdAt }: Pruneable) => (createdAt?.getTime() ?? 0) < moment;
    }
    if (name !== 'label' && name !== 'label!')
      throw new UsageError(`--filter ${JSON.stringify(text)}: there are until=, label= and label!=`);
    const at = value.indexOf('=');
    const [label, wanted] = at < 0 ? [value, undefined] : [value.slice(0, at), value.slice(at + 1)];
    return ({ labels }: Pruneable) => {
      const has = wanted === undefined ? labels[label] !== undefined : labels[label] === wanted;
      return has === (name === 'label');
    };
  });
  return (one) => all.every((accepts) => accepts(one));
}
