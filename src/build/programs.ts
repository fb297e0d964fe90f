/**
 * Makes programs that know where their library lies, of those in npm/, which don't: `programs.ts LIBRARY DIRECTORY PROGRAM…`.
 * Run by `make build` for the checkout, and by `make install` for the place that it installs to (without DESTDIR, which is
 * gone when they run). Each is put in its place at once, as containers may be started meanwhile.
 */
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** As in src/monitor/launcher.h, and as a line of the scripts. */
const MARK = "hawser's library: ";
const LINE = '\nbuilt_in=\n';
/** PATH_MAX, with the byte that ends it. */
const MAX_BYTES = 4096;

/** @throws Error for a program that has not exactly one slot for it, and for a place that is too long */
function withLibrary(program: Buffer, library: string, name: string): Buffer {
  const isNative = program.subarray(0, 4).equals(Buffer.from('\x7fELF'));
  const slot = isNative ? `${MARK}\0` : LINE;
  const at = program.indexOf(slot);
  if (at === -1 || program.includes(slot, at + 1))
    throw new Error(`${name} has no slot for the library's place, or several: was it built from other sources?`);
  if (!isNative)
    return Buffer.from(program.toString().replace(LINE, () => `\nbuilt_in='${library.replaceAll("'", "'\\''")}'\n`));
  const place = Buffer.from(library);
  if (place.length >= MAX_BYTES) throw new Error(`${library} is too long for a path: ${place.length} bytes`);
  const result = Buffer.from(program);
  place.copy(result, at + MARK.length);
  return result;
}

const [library = '', directory = '', ...programs] = process.argv.slice(2);
if (!library.startsWith('/'))
  throw new Error(
    `the library's place must be an absolute path, and not ${JSON.stringify(library)}: set PREFIX to one`,
  );
for (const program of programs) {
  const file = join(directory, basename(program));
  writeFileSync(`${file}.new`, withLibrary(readFileSync(program), library, program));
  chmodSync(`${file}.new`, 0o755);
  renameSync(`${file}.new`, file);
}
