/** --restart: what the daemon's restart monitor is told, by containerd's labels. */
import { UsageError } from '../errors.js';

const PREFIX = 'containerd.io/restart.';
const LABELS = {
  policy: `${PREFIX}policy`,
  /** `running` has the monitor start it whenever it does not run; `created` has it do nothing. */
  status: `${PREFIX}status`,
  explicitlyStopped: `${PREFIX}explicitly-stopped`,
  logUri: `${PREFIX}loguri`,
} as const;

type Labels = Readonly<Record<string, string>>;

/** Of a container that is being made. Nobody starts it before we do. */
export function restartLabels(policy: string | undefined, logUri: string | undefined): Labels {
  if (!policy || policy === 'no') return {};
  return {
    [LABELS.policy]: checked(policy),
    [LABELS.status]: 'created',
    ...(logUri === undefined ? {} : { [LABELS.logUri]: logUri }),
  };
}

/** For `update`: of a container that is there. An empty value takes a label away. What does not run is not started by it. */
export function changedRestart(policy: string, running: boolean): Labels {
  return policy === 'no'
    ? { [LABELS.policy]: '', [LABELS.status]: '' }
    : { [LABELS.policy]: checked(policy), [LABELS.status]: running ? 'running' : 'created' };
}

/** As docker's inspect has it. */
export function restartPolicyOf(labels: Labels): { Name: string; MaximumRetryCount: number } {
  const [name = 'no', times = '0'] = (labels[LABELS.policy] || 'no').split(':');
  return { Name: name, MaximumRetryCount: Number(times) };
}

export function isRestarted(labels: Labels): boolean {
  return Boolean(labels[LABELS.policy]);
}

/** Of one that was started: from now on the monitor looks after it. */
export function startedLabels(labels: Labels): Labels {
  return isRestarted(labels) ? { [LABELS.status]: 'running', [LABELS.explicitlyStopped]: 'false' } : {};
}

/** Of one that a user is about to end: else it would be started again. */
export function stoppedLabels(labels: Labels): Labels {
  return isRestarted(labels) ? { [LABELS.explicitlyStopped]: 'true' } : {};
}

function checked(policy: string): string {
  if (/^(always|unless-stopped|on-failure(:[1-9]\d{0,8})?)$/.test(policy)) return policy;
  throw new UsageError(
    `--restart ${JSON.stringify(policy)}: there are no, always, unless-stopped, on-failure and on-failure:TIMES`,
  );
}
