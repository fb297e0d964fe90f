import { Lab, pause } from './lab.js';
import { stateOf } from '../support/debug.js';
import { removeCgroups, bareRunc } from './measures.js';
const lab = await new Lab().open();
const N = Number(process.env.N ?? 15);
const gaps = new Map<string, number[]>();
const add = (k: string, v: number): void => { (gaps.get(k) ?? gaps.set(k, []).get(k)!).push(v); };
for (let i = -2; i < N; i++) {
  await pause(400);
  const marks: { what: string; at: number }[] = [];
  const t = (what: string): void => void marks.push({ what, at: performance.timeOrigin + performance.now() });
  t('0 client start');
  await lab.ours.with(lab.bundle(['/bin/true']), async (task, { id, path }) => {
    t('client started+connected');
    const exit = new Promise<number>((resolve) => lab.exits.set(id, resolve));
    await task.Create({ id, bundle: path, options: lab.options() }); t('client created');
    await task.Start({ id }); t('client Started');
    await task.Wait({ id }); t('client waited');
    await exit; t('client exit event');
    await task.Delete({ id }); t('client deleted');
    const { timeline } = await stateOf({ socket: lab.address(path) });
    marks.push(...timeline);
  }, {}, {});
  if (process.env.IDLE) await pause(300);
  const bare = await bareRunc(lab); if (i >= 0) for (const k of ['Create', 'Start', 'Delete']) add('bare ' + k, bare[k]!);
  if (i < 0) continue;
  marks.sort((a, b) => a.at - b.at);
  marks.forEach((m, j) => { if (j) add(`${marks[j - 1]!.what} → ${m.what}`, m.at - marks[j - 1]!.at); });
}
const med = (v: number[], q = 0.5): number => [...v].sort((a, b) => a - b)[Math.floor(v.length * q)]!;
for (const [k, v] of gaps) if (v.length > N / 4) console.log(k.padEnd(75), med(v).toFixed(2), med(v, 0.1).toFixed(2), v.length);
lab.close(); removeCgroups();
