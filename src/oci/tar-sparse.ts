/**
 * Sparse files, as GNU tar stores them: the data without the holes, and a map of where it belongs. GNU's own format (type `S`) has
 * the map in the header; its PAX formats have it in records (0.0, 0.1), or in front of the data (1.0). GNU tar manual, "Storing
 * Sparse Files".
 */
import { BLOCK, damaged, dialectOf, readDecimal, readNumber, type Pax } from './tar-header.js';
import type { ByteString } from '../sys/byte-string.js';

/** Where a piece of data belongs in its file. */
export interface Extent {
  readonly at: number;
  readonly length: number;
}

export interface SparseFile {
  /** With the holes. */
  readonly size: number;
  readonly extents: readonly Extent[];
}

/** Gives the next bytes of what is stored for an entry. */
export type Take = (length: number) => Promise<Buffer>;

const MAX_EXTENTS = 1 << 20;
const MAX_DIGITS = 20;

const IN_HEADER = { at: 386, entries: 4, extended: 482 };
const IN_EXTENSION = { at: 0, entries: 21, extended: 504 };

/** A file of type `S`. The blocks that continue the map stand in front of what the header's size counts. */
export async function readOldSparse(header: Buffer, take: Take): Promise<SparseFile> {
  // star has another layout under the same letter.
  if (dialectOf(header) !== 'gnu')
    throw damaged("has a sparse file in a format other than GNU tar's, which is not supported");
  const size = readNumber(header, 483, 12, 'real size');
  const numbers: number[] = [];
  let block = header;
  for (let layout = IN_HEADER; ; layout = IN_EXTENSION) {
    for (let n = 0; n < layout.entries; n++) {
      const at = layout.at + 24 * n;
      if (block[at] === 0) break;
      numbers.push(
        readNumber(block, at, 12, 'map of a sparse file'),
        readNumber(block, at + 12, 12, 'map of a sparse file'),
      );
    }
    if (block[layout.extended] === 0) return { size, extents: extentsOf(numbers) };
    if (numbers.length > 2 * MAX_EXTENTS) throw tooMany();
    block = await take(BLOCK);
  }
}

/** A file with GNU's PAX records on sparse files; undefined when it has none. The name that they give is the reader's concern. */
export async function readPaxSparse({ records, pairs }: Pax, take: Take): Promise<SparseFile | undefined> {
  const get = (key: string): string => records.get(`GNU.sparse.${key}` as ByteString)?.toString('latin1') ?? '';
  if (records.has('SUN.holesdata' as ByteString))
    throw damaged("has a sparse file in Solaris' format, which is not supported");
  if (pairs.length === 0 && ![...records].some(([key, value]) => key.startsWith('GNU.sparse.') && value.length > 0))
    return undefined;
  const version = `${get('major')}.${get('minor')}`;
  const size = get('size') || get('realsize');
  if (!['.', '0.0', '0.1', '1.0'].includes(version))
    throw damaged(`has a sparse file in version ${JSON.stringify(version)} of GNU tar's format, which is not known`);
  if (size === '') throw damaged('has a sparse file without its size');
  const file = { size: readDecimal(size, 'the size of a sparse file') };
  if (version === '1.0') return { ...file, extents: extentsOf(await mapBeforeData(take)) };
  const numbers =
    pairs.length > 0
      ? pairs
      : get('map') === ''
        ? []
        : get('map')
            .split(',')
            .map((digits) => readDecimal(digits, 'the map of a sparse file'));
  if (
    get('numblocks') === '' ||
    2 * readDecimal(get('numblocks'), "the number of a sparse file's pieces") !== numbers.length
  )
    throw damaged('has a sparse file whose map has another length than it says');
  return { ...file, extents: extentsOf(numbers) };
}

/** A map has to be in order, and to use all that is stored: anything else would be another file. */
export function checkSparse({ size, extents }: SparseFile, stored: number): void {
  let [end, length] = [0, 0];
  for (const extent of extents) {
    if (extent.at < end || extent.length < 0 || extent.at + extent.length > size)
      throw damaged('has a sparse file whose map is out of order, or reaches beyond its end');
    end = extent.at + extent.length;
    length += extent.length;
  }
  if (length !== stored)
    throw damaged(`has a sparse file whose map speaks of ${length} bytes, where ${stored} are stored`);
}

/** Lines in whole blocks: how many pieces there are, then offset and length of each. */
async function mapBeforeData(take: Take): Promise<number[]> {
  const numbers: number[] = [];
  let missing = 1;
  let rest = '';
  for (let first = true; missing > 0;) {
    const lines = (rest + (await take(BLOCK)).toString('latin1')).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (missing === 0) break;
      const number = readDecimal(line, 'the map of a sparse file');
      missing--;
      if (!first) numbers.push(number);
      else if (number < 0 || number > MAX_EXTENTS) throw tooMany();
      else missing = 2 * number;
      first = false;
    }
    if (missing > 0 && rest.length > MAX_DIGITS) throw damaged('has a sparse file whose map cannot be read');
  }
  return numbers;
}

function extentsOf(numbers: readonly number[]): Extent[] {
  const extents = [];
  for (let n = 0; n < numbers.length; n += 2) extents.push({ at: numbers[n]!, length: numbers[n + 1]! });
  return extents;
}

function tooMany(): Error {
  return damaged(`has a sparse file of more than ${MAX_EXTENTS} pieces`);
}
