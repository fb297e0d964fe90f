/** What a runtime can do wrong, as lines of shell for Lab.faultyRunc(). */

export type RuntimeCommand =
  'create' | 'start' | 'exec' | 'kill' | 'delete' | 'pause' | 'resume' | 'update' | 'ps' | 'state';

/** It never ends. `$lab/hung` then has its pid. */
export const hang = 'echo $$ > "$lab/hung"; exec sleep 100000';

/** It never ends, and what hangs is a child of it, such as a hook. `$lab/hung` then has the child's pid. */
export const hangInChild = 'sleep 100000 & echo $! > "$lab/hung"; wait';

/** It is killed before it has done anything. */
export const crashBefore = 'kill -9 $$';

/** It is killed when everything is done and the pid is written. */
export const crashAfter = '"$runc" "$@"; kill -9 $$';

/** It is killed at some moment of its work. */
export const crashAmid = (seconds: number): string => `"$runc" "$@" & sleep ${seconds}; kill -9 $!; wait; kill -9 $$`;

/** It does its work, and writes this for a pid. */
export const pidFile = (text: string): string =>
  `"$runc" "$@" || exit; cp "$pid_file" "$lab/pid"; printf %s '${text}' > "$pid_file"; exit 0`;

/** It does its work, and writes no pid. */
export const noPidFile = '"$runc" "$@" || exit; mv "$pid_file" "$lab/pid"; exit 0';

/** It says that it succeeded, and has done nothing. */
export const lie = 'exit 0';

/** It does its work, and its process has ended, but is not collected, when it returns. */
export const lateReturn = `"$runc" "$@" || exit
  while grep -q '^State:.[^Z]' "/proc/$(cat "$pid_file")/status" 2>/dev/null; do sleep 0.02; done
  exit 0`;

/** It fails with megabytes of output. */
export const hugeOutput = 'yes "a very long story" | head -c 8000000; exit 1';

/** It fails with megabytes in its log, and the reason at the end. */
export const hugeLog = `yes '{"level":"info","msg":"a very long story"}' | head -c 8000000 >> "$log"
  printf '\\n{"level":"error","msg":"the moral of the story"}\\n' >> "$log"
  exit 1`;

/** It fails with garbage where its log should be. */
export const garbageLog =
  'head -c 100000 /dev/urandom >> "$log"; printf \'\\n{"level":"error","msg":\' >> "$log"; echo \'said aloud\' >&2; exit 1';

/** It fails, and its message comes into the log when it has ended. */
export const lateLog =
  '(sleep 0.3; echo \'{"level":"error","msg":"too late"}\' >> "$log"; touch "$lab/logged") & echo "in time" >&2; exit 1';
