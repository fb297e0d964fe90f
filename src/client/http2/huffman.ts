/** The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B). */
import { HttpError, COMPRESSION_ERROR } from './codes.js';

/** How many bits the code of each byte has, as a digit of base 36. The code is canonical: nothing else need be known of it. */
const LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca' +
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq';
const LONGEST = 30;

/** By the number of bits: the first code, how many there are, and the bytes that they stand for. */
interface Codes {
  readonly first: readonly number[];
  readonly bytes: readonly (readonly number[])[];
}

let known: Codes | undefined;

function codes(): Codes {
  const bytes = Array.from({ length: LONGEST + 1 }, (): number[] => []);
  for (let byte = 0; byte < LENGTHS.length; byte++) bytes[Number.parseInt(LENGTHS[byte]!, 36)]!.push(byte);
  const first: number[] = [0];
  for (let length = 1; length <= LONGEST; length++) first.push((first[length - 1]! + bytes[length - 1]!.length) << 1);
  return { first, bytes };
}

/** @throws HttpError for what is no such text */
export function decodeHuffman(coded: Buffer): string {
  const { first, bytes } = (known ??= codes());
  let text = '';
  let code = 0;
  let length = 0;
  for (const byte of coded)
    for (let bit = 7; bit >= 0; bit--) {
      code = (code << 1) | ((byte >> bit) & 1);
      const found = bytes[++length]?.[code - first[length]!];
      if (found !== undefined) {
        text += String.fromCharCode(found);
        code = length = 0;
      } else if (length >= LONGEST) throw new HttpError(COMPRESSION_ERROR, 'a header has a code that there is none of');
    }
  // What fills the last byte are the first bits of the code that ends a text: ones, fewer than eight.
  if (length > 7 || code !== (1 << length) - 1)
    throw new HttpError(COMPRESSION_ERROR, "a header's last code is cut off");
  return text;
}
