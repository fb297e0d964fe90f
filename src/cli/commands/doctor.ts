/** hawser doctor: whether the machine has what Hawser takes. A part of its own, as it must run where others do not. */
import { release } from 'node:os';
import { dirname } from 'node:path';
import type { Globals } from '../address.js';
import { daemonFindings } from '../doctor/daemons.js';
import type { Finding, Patient } from '../doctor/finding.js';
import { kernelFindings } from '../doctor/kernel.js';
import { ownFindings } from '../doctor/own.js';
import { programFindings } from '../doctor/programs.js';
import { Root } from '../enable/root.js';
import { Exit } from '../errors.js';
import { paint } from '../format/color.js';
import { align } from '../format/table.js';

const COLORS = { ok: 'green', missing: 'yellow', wrong: 'red' } as const;

export async function doctorCommand({ json }: { json?: boolean }, { address }: Globals): Promise<void> {
  const named = address ?? process.env.CONTAINERD_ADDRESS;
  const findings = await examine({
    root: new Root(),
    release: release(),
    uid: process.getuid!(),
    library: dirname(process.argv[1] ?? ''),
    address: named ? named.replace(/^unix:\/\//, '') : undefined,
  });
  process.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : text(findings));
  if (findings.some(({ verdict }) => verdict === 'wrong')) throw new Exit(1);
}

export async function examine(patient: Patient): Promise<Finding[]> {
  return [
    ...kernelFindings(patient),
    ...ownFindings(patient),
    ...programFindings(patient),
    ...(await daemonFindings(patient)),
  ];
}

function text(findings: readonly Finding[]): string {
  return align(
    findings.map(({ what, verdict, found, advice }) => [
      paint(COLORS[verdict], verdict),
      what,
      advice === undefined ? found : `${found}: ${advice}`,
    ]),
  );
}
