/**
 * SHA-256 (FIPS 180-4) of a short text. A shim hashes once in its life, for its socket's name, a command once or twice, for where
 * things lie; node:crypto, which would do the same, takes 3 to 5 ms to load and stays in memory.
 */

/** The first 32 bits of the fractional part of the cube roots (`root` 3) or square roots (2) of the first primes. */
function fractions(root: 2 | 3, count: number): Uint32Array {
  const result = new Uint32Array(count);
  for (let n = 2, found = 0; found < count; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    // A double holds 8 bits of the integer part and 32 of the fraction with room to spare.
    if (prime) result[found++] = Math.floor((n ** (1 / root) % 1) * 2 ** 32);
  }
  return result;
}

const rotate = (x: number, by: number): number => (x >>> by) | (x << (32 - by));

/** In hexadecimal, as `sha256sum` prints it. */
export function sha256(text: string): string {
  const k = fractions(3, 64);
  const hash = fractions(2, 8);
  const message = Buffer.from(text);
  const padded = Buffer.alloc(Math.ceil((message.length + 9) / 64) * 64);
  message.copy(padded);
  padded[message.length] = 0x80;
  padded.writeUInt32BE(message.length * 8, padded.length - 4);
  const w = new Uint32Array(64);
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 16; i++) w[i] = padded.readUInt32BE(at + i * 4);
    for (let i = 16; i < 64; i++) {
      const [a, b] = [w[i - 15]!, w[i - 2]!];
      w[i] =
        w[i - 16]! +
        (rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3)) +
        w[i - 7]! +
        (rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = hash as unknown as [number, number, number, number, number, number, number, number];
    for (let i = 0; i < 64; i++) {
      const one = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + k[i]! + w[i]!) | 0;
      const two = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => (hash[i]! += value));
  }
  return Buffer.from(hash.buffer).swap32().toString('hex');
}
