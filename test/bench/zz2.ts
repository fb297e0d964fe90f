import { spawn } from 'node:child_process';
import { Lab, pause, sparesIn } from './lab.js';
import { removeCgroups } from './measures.js';
const lab = await new Lab().open();
for (let i = 0; i < 2; i++) {
  await pause(600);
  let tracer;
  if (i === 1) {
    const [pid] = sparesIn(lab.runDir);
    tracer = spawn('strace', ['-f', '-r', '-T', '-p', String(pid), '-o', '/tmp/t/strace.out', ...(process.env.C ? ['-c'] : [])], { stdio: 'ignore' });
    await pause(500);
  }
  await lab.ours.with(lab.bundle(['/bin/true']), async (task, { id, path }) => {
    const exit = new Promise<number>((resolve) => lab.exits.set(id, resolve));
    await task.Create({ id, bundle: path, options: lab.options() });
    await task.Start({ id });
    await task.Wait({ id });
    await exit;
    await task.Delete({ id });
  }, {}, {});
  tracer?.kill();
}
lab.close(); removeCgroups();
