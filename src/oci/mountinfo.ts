/** /proc/PID/mountinfo (proc_pid_mountinfo(5)). */

/** A path of it as it is: blanks and the like stand as octal escapes there. */
export function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}
