/** hawser import: an image of a root file system's archive. */
import { existsSync } from 'node:fs';
import type { Globals } from '../address.js';
import { CliError } from '../errors.js';
import { withSession } from '../session.js';
import { interruptible } from '../terminal/interrupt.js';

export interface ImportRootFlags {
  readonly change?: string[];
  readonly message?: string;
  readonly platform?: string;
}

export async function importRootCommand(
  archive: string,
  name: string | undefined,
  { change, message, platform }: ImportRootFlags,
  globals: Globals,
): Promise<void> {
  if (/^https?:\/\//.test(archive))
    throw new CliError(`import ${archive}: nothing is fetched here: \`curl -L ${archive} | hawser import -\``);
  if (archive !== '-' && !existsSync(archive))
    throw new CliError(
      `import: there is no file ${archive}: give a tar archive of a root file system, or - for standard input`,
    );
  if (archive === '-' && process.stdin.isTTY)
    throw new CliError(
      'import -: standard input is a terminal: pipe an archive into it, as `hawser export web | hawser import -`',
    );
  const said = archive === '-' ? 'standard input' : archive;
  const image = await withSession(globals, ({ client }) =>
    interruptible(async (signal) => {
      const source = archive === '-' ? process.stdin : archive;
      const options = { name, changes: change, message: message ?? `imported from ${said}`, platform, signal };
      try {
        return await client.images.importRoot(source, options);
      } catch (error) {
        if (signal.aborted || !(error instanceof Error)) throw error;
        throw new CliError(`${said} cannot be imported: ${error.message}`, 1, { cause: error });
      }
    }),
  );
  process.stdout.write(`${image.target.digest}\n`);
}
