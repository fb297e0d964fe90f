/** What the kernel says of processes of this machine (proc(5)). */
import { processStart } from '../container/state.js';
import { tryRead } from './read.js';

export interface ProcessLine {
  readonly user: string;
  readonly pid: number;
  readonly ppid: number;
  /** Of one processor, over its whole life. */
  readonly percent: number;
  readonly started: string;
  readonly terminal: string;
  readonly time: string;
  readonly command: string;
}

const TICKS = 100;

/** As `ps -ef` has it; undefined when it is gone. */
export function describeProcess(pid: number): ProcessLine | undefined {
  const stat = tryRead(`/proc/${pid}/stat`);
  const status = tryRead(`/proc/${pid}/status`);
  if (stat === undefined || status === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const number = (at: number): number => Number(fields[at]);
  const seconds = (number(11) + number(12)) / TICKS;
  const start = processStart(pid) ?? Date.now();
  const uid = /^Uid:\s+(\d+)/m.exec(status)?.[1] ?? '0';
  const command = (tryRead(`/proc/${pid}/cmdline`) ?? '').replaceAll('\0', ' ').trim();
  return {
    user: userName(uid),
    pid,
    ppid: number(1),
    percent: Math.min(99, Math.floor((seconds * 100_000) / Math.max(1000, Date.now() - start))),
    started: startedAt(start),
    terminal: terminalName(number(4)),
    time: clock(seconds),
    command: command || `[${stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))}]`,
  };
}

let users: Map<string, string> | undefined;

function userName(uid: string): string {
  users ??= new Map(
    (tryRead('/etc/passwd') ?? '')
      .split('\n')
      .map((line) => line.split(':'))
      .map(([name = '', , id = '']) => [id, name]),
  );
  return users.get(uid) ?? uid;
}

function startedAt(ms: number): string {
  const date = new Date(ms);
  const today = Date.now() - ms < 86_400_000;
  return today
    ? `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`
    : date.toDateString().slice(4, 10).replace(' ', '');
}

function terminalName(device: number): string {
  // makedev(3): a pseudo-terminal's major numbers are 136 to 143.
  const [major, minor] = [(device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00)];
  return device === 0 ? '?' : major >= 136 && major <= 143 ? `pts/${(major - 136) * 256 + minor}` : `${major}:${minor}`;
}

function clock(seconds: number): string {
  const part = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `${part(seconds / 3600)}:${part((seconds / 60) % 60)}:${part(seconds % 60)}`;
}
