/** What stands in archives besides the common: names that are not UTF-8, sparse files, odd numbers, damage. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeHeader, END, type Header } from '../../src/oci/tar-writer.js';
import { fromBytes, fromText, shown, toBytes, type ByteString } from '../../src/sys/byte-string.js';
import { TarReader } from '../../src/oci/tar-reader.js';
import { BLOCK, blocks, paxHeader, pieces, rawHeader, readAll, type PaxRecord } from '../support/archives.js';
import { failure, workDirectory } from '../support/records.js';

const bytes = (text: string): ByteString => text as ByteString;
const refused = (text: string): { message: string } => failure(`${text}: invalid argument`);

test('names are bytes: what is written is read, and GNU tar reads it', async () => {
  const name = fc
    .uint8Array({ min: 1, max: 255, minLength: 1, maxLength: 300 })
    .map((data) => fromBytes(data.map((byte) => (byte === 0x2f ? 0x5f : byte))));
  const attribute = fc
    .tuple(
      fc.string({ unit: fc.constantFrom('a', '=', '%', '%3D', '%25', '\xe4'), minLength: 1, maxLength: 6 }),
      fc.uint8Array({ maxLength: 20 }),
    )
    .map(([key, value]): [ByteString, Buffer] => [bytes(`user.${key}`), Buffer.from(value)]);
  await fc.assert(
    fc.asyncProperty(name, name, fc.array(attribute, { maxLength: 3 }), async (path, target, attributes) => {
      const header: Header = {
        name: path,
        linkname: target,
        type: 'symlink',
        mode: 0o777,
        uid: 0,
        gid: 0,
        size: 0,
        modified: { seconds: 0, nanos: 0 },
        attributes: new Map(attributes),
      };
      const [read] = await readAll(Buffer.concat([encodeHeader(header), END]));
      assert.deepEqual([read!.name, read!.linkname, read!.attributes], [path, target, header.attributes]);
    }),
    { numRuns: 300 },
  );
  const dir = workDirectory();
  const names = [
    'f-\xe4',
    'f-\xf6',
    `${'\xfc'.repeat(200)}/${'\xdf'.repeat(255)}`,
    '\xc3\xa4',
    `${'n'.repeat(99)}/x`,
    'p'.repeat(100),
    'q'.repeat(101),
  ].map(bytes);
  const archive = Buffer.concat([
    ...names.map((one) =>
      encodeHeader({
        name: one,
        linkname: one,
        type: 'symlink',
        mode: 0o777,
        uid: 0,
        gid: 0,
        size: 0,
        modified: { seconds: 0, nanos: 0 },
      }),
    ),
    END,
  ]);
  for (const locale of ['C', 'C.UTF-8']) {
    const list = execFileSync('tar', ['--quoting-style=literal', '--show-transformed-names', '-tf', '-'], {
      cwd: dir,
      input: archive,
      env: { ...process.env, LC_ALL: locale },
    });
    assert.deepEqual(fromBytes(list).split('\n').filter(Boolean), names);
  }
});

test('names that are not UTF-8 come as their bytes out of all formats of GNU tar and of Python', async () => {
  const dir = workDirectory();
  const names = ['f-\xe4', 'f-\xf6', `d/${'\xfc'.repeat(150)}`, `d/${'long/'.repeat(30)}\xff`].map(bytes);
  for (const name of names) {
    const path = Buffer.concat([Buffer.from(`${dir}/`), toBytes(name)]);
    execFileSync('mkdir', ['-p', join(dir, 'd', 'long/'.repeat(30))]);
    writeFileSync(path, toBytes(name));
  }
  writeFileSync(join(dir, 'list'), Buffer.concat(names.flatMap((name) => [toBytes(name), Buffer.from('\0')])));
  const python = `
import sys, tarfile
names = open('list', 'rb').read().split(b'\\0')[:-1]
t = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=getattr(tarfile, sys.argv[1]), encoding=sys.argv[2], errors='surrogateescape')
for n in names: t.add(n.decode(sys.argv[2], 'surrogateescape'))
t.close()`;
  const gnu = (format: string) =>
    execFileSync('tar', [`--format=${format}`, '--null', '-T', 'list', '-cf', '-'], { cwd: dir });
  const archives: [string, Buffer][] = [
    ...['gnu', 'oldgnu', 'posix'].map((format): [string, Buffer] => [format, gnu(format)]),
    // Where Python takes the bytes for no text, its PAX records have hdrcharset=BINARY beside them.
    ...['GNU_FORMAT', 'PAX_FORMAT'].map((format): [string, Buffer] => [
      format,
      execFileSync('python3', ['-c', python, format, 'utf-8'], { cwd: dir, env: { ...process.env, PYTHONUTF8: '1' } }),
    ]),
  ];
  for (const [format, archive] of archives)
    assert.deepEqual(
      (await readAll(archive, 1000)).map(({ name, data }) => [name, fromBytes(data)]),
      names.map((name) => [name, name]),
      format,
    );
});

test('names that differ are shown so that they differ', () => {
  assert.deepEqual(
    [shown(fromText('ä')), shown(bytes('\xe4')), shown(bytes('\xf6"\n')), shown(fromText('\\xe4'))],
    ['"ä"', '"\\xe4"', '"\\xf6\\"\\n"', '"\\\\xe4"'],
  );
});

/** A file with data at these places, and zeros between them. */
function sparseFile(file: string, size: number, data: readonly [number, string][]): Buffer {
  const fd = openSync(file, 'w');
  ftruncateSync(fd, size);
  for (const [at, text] of data) writeSync(fd, text, at);
  closeSync(fd);
  return readFileSync(file);
}

const SPARSE = [
  ['gnu'],
  ['oldgnu'],
  ['posix', '--sparse-version=0.0'],
  ['posix', '--sparse-version=0.1'],
  ['posix', '--sparse-version=1.0'],
] as const;

for (const [format, ...more] of SPARSE) {
  test(`a sparse file of ${format} ${more.join('')} is what it was`, async () => {
    const dir = workDirectory();
    const MIB = 1 << 20;
    const long = `${'directory/'.repeat(12)}${'n'.repeat(120)}`;
    execFileSync('mkdir', ['-p', join(dir, 'directory/'.repeat(12))]);
    const files: [string, Buffer][] = [
      [
        'mixed',
        sparseFile(join(dir, 'mixed'), 2 * MIB, [
          [0, 'head'],
          [MIB, 'middle'.repeat(1000)],
          [2 * MIB - 4, 'tail'],
        ]),
      ],
      ['hole', sparseFile(join(dir, 'hole'), MIB, [])],
      ['end', sparseFile(join(dir, 'end'), MIB + 1, [[MIB, 'x']])],
      ['plain', sparseFile(join(dir, 'plain'), 700, [[0, 'p'.repeat(700)]])],
      // More pieces than a header has room for, and than an extension of it; and a map of more than one block.
      [
        'many',
        sparseFile(
          join(dir, 'many'),
          100 * 8192,
          Array.from({ length: 100 }, (_, n) => [n * 8192, `piece ${n}`]),
        ),
      ],
      [long, sparseFile(join(dir, long), MIB, [[4096, 'long']])],
      ['sparse-\u00e4', sparseFile(join(dir, 'sparse-\u00e4'), MIB, [[8192, 'umlaut']])],
    ];
    const archive = execFileSync(
      'tar',
      ['-S', `--format=${format}`, ...more, '-cf', '-', ...files.map(([name]) => name)],
      { cwd: dir, maxBuffer: 1 << 28 },
    );
    assert.ok(archive.length < 2 * MIB, 'there are holes');
    for (const size of [512, 97, 1 << 16]) {
      const read = await readAll(archive, size);
      assert.deepEqual(
        read.map(({ name, type, size: length }) => [name, type, length]),
        files.map(([name, data]) => [fromText(name), 'file', data.length]),
      );
      for (const [n, { name, data }] of read.entries()) assert.ok(data.equals(files[n]![1]), name);
    }
    const reader = new TarReader(pieces(archive, 4096));
    await reader.next();
    const places: number[] = [];
    for (let piece = await reader.piece(); piece !== undefined; piece = await reader.piece()) places.push(piece.at);
    assert.ok(places[0] === 0 && places.every((at) => at < 4096 || at >= MIB), 'holes are left out of the pieces');
  });
}

test('a sparse file that cannot be understood is refused', async () => {
  const sparse = (records: readonly PaxRecord[], stored = '', header = {}): Promise<unknown> =>
    readAll(Buffer.concat([paxHeader(records), rawHeader({ size: stored.length, ...header }), blocks(stored), END]));
  const version = (major: string, minor: string): PaxRecord[] => [
    ['GNU.sparse.major', major],
    ['GNU.sparse.minor', minor],
    ['GNU.sparse.realsize', '10'],
    ['GNU.sparse.name', 'f'],
  ];
  const map = (text: string, numblocks: string, size = '10'): PaxRecord[] => [
    ['GNU.sparse.size', size],
    ['GNU.sparse.numblocks', numblocks],
    ['GNU.sparse.map', text],
  ];
  const front = 'entry "f": the tar archive has';
  await assert.rejects(
    sparse(version('1', '1')),
    refused(`${front} a sparse file in version "1.1" of GNU tar's format, which is not known`),
  );
  await assert.rejects(sparse(version('2', '0')), /version "2.0"/);
  await assert.rejects(sparse([['GNU.sparse.major', '1']]), /version "1."/);
  await assert.rejects(
    sparse(
      [
        ['GNU.sparse.map', '0,1'],
        ['GNU.sparse.numblocks', '1'],
      ],
      'x',
    ),
    refused(`${front} a sparse file without its size`),
  );
  await assert.rejects(
    sparse([['GNU.sparse.size', '5']], 'x'),
    refused(`${front} a sparse file whose map has another length than it says`),
  );
  await assert.rejects(sparse(map('0,1,5', '1'), 'x'), /another length/);
  await assert.rejects(sparse(map('0,1', '2'), 'x'), /another length/);
  await assert.rejects(
    sparse(map('5,1,0,1', '2'), 'xx'),
    refused(`${front} a sparse file whose map is out of order, or reaches beyond its end`),
  );
  await assert.rejects(sparse(map('0,3,2,1', '2'), 'xxxx'), /out of order/);
  await assert.rejects(sparse(map('9,2', '1'), 'xx'), /out of order/);
  await assert.rejects(sparse(map('4,-1', '1'), 'xx'), /out of order/);
  await assert.rejects(sparse(map('9007199254740991,9007199254740991', '1', '9007199254740991'), 'xx'), /out of order/);
  await assert.rejects(
    sparse(map('0,1', '1'), 'xx'),
    refused(`${front} a sparse file whose map speaks of 1 bytes, where 2 are stored`),
  );
  await assert.rejects(sparse(map('0,3', '1'), 'xx'), /speaks of 3 bytes/);
  await assert.rejects(sparse(map('0,zz', '1'), 'xx'), /"zz" as the map of a sparse file, which is no number/);
  await assert.rejects(sparse(map('0,1', '1', '1e3'), 'x'), /"1e3" as the size of a sparse file/);
  await assert.rejects(
    sparse(map('', '0'), '', { type: '5' }),
    refused(`${front} a directory that would be a sparse file`),
  );
  await assert.rejects(
    sparse(
      [
        ['GNU.sparse.size', '5'],
        ['GNU.sparse.numblocks', '1'],
        ['GNU.sparse.numbytes', '1'],
        ['GNU.sparse.offset', '0'],
      ],
      'x',
    ),
    /records GNU.sparse.offset and GNU.sparse.numbytes out of order/,
  );
  await assert.rejects(sparse(version('1', '0'), 'no map\n'.padEnd(512)), /"no map" as the map of a sparse file/);
  await assert.rejects(sparse(version('1', '0'), '2\n0\n1\n'.padEnd(512, '\0')), /map cannot be read/);
  await assert.rejects(
    sparse(version('1', '0'), '9999999\n'.padEnd(512, '\0')),
    /a sparse file of more than 1048576 pieces/,
  );
  await assert.rejects(
    sparse(version('1', '0'), '1\n0\n1\n'),
    refused(`${front} an entry that is shorter than what it says of itself`),
  );
  await assert.rejects(sparse([['SUN.holesdata', ' 0 512']], 'x'), /a sparse file in Solaris' format/);
  await assert.rejects(
    readAll(Buffer.concat([rawHeader({ type: 'S', size: 1 }), blocks('x')])),
    /a sparse file in a format other than GNU tar's/,
  );
  const old = (entries: [string, string][], size: string, stored: string) =>
    readAll(
      Buffer.concat([
        rawHeader({
          type: 'S',
          size: stored.length,
          magic: 'ustar  \0',
          fields: {
            483: size,
            ...Object.fromEntries(
              entries.flatMap(([at, length], n) => [
                [386 + 24 * n, at],
                [398 + 24 * n, length],
              ]),
            ),
          },
        }),
        blocks(stored),
        END,
      ]),
    );
  assert.equal(
    (
      await old(
        [
          ['00000000002', '00000000001'],
          ['00000000004', '00000000000'],
        ],
        '00000000004',
        'x',
      )
    )[0]!.data.toString(),
    '\0\0x\0',
  );
  await assert.rejects(
    old([['00000000002', '00000000001']], '00000000002', 'x'),
    /out of order, or reaches beyond its end/,
  );
  await assert.rejects(old([['x', '00000000001']], '00000000002', 'x'), /map of a sparse file cannot be read/);
  assert.equal(((await sparse(map('', '0'))) as { size: number }[])[0]!.size, 10, 'nothing but a hole');
});

test('a global header is passed over, with what it says of all files', async () => {
  const archive = Buffer.concat([
    paxHeader(
      [
        ['comment', 'abc'],
        ['path', 'zzz'],
        ['uid', '77'],
        ['mtime', '1234567890'],
        ['SCHILY.xattr.user.a', 'x'],
        ['GNU.sparse.major', '9'],
      ],
      'g',
    ),
    rawHeader({ name: 'data/gl', size: 1 }),
    blocks('x'),
    paxHeader([['uid', '5']]),
    paxHeader(
      [
        ['uid', '6'],
        ['linkpath', 'nowhere'],
      ],
      'g',
    ),
    rawHeader({ name: 'second' }),
    END,
  ]);
  const read = await readAll(archive);
  assert.deepEqual(
    read.map(({ name, uid, modified, attributes, linkname, data }) => [
      name,
      uid,
      modified.seconds,
      attributes.size,
      linkname,
      data.toString(),
    ]),
    [
      ['data/gl', 0, 5, 0, '', 'x'],
      ['second', 5, 5, 0, '', ''],
    ],
  );
  assert.deepEqual(
    await readAll(Buffer.concat([paxHeader([Buffer.from('no records')], 'g'), END])),
    [],
    'whatever is in it',
  );
});

test('records are taken at their word, or refused', async () => {
  const entry = async (records: readonly PaxRecord[], header = {}) =>
    (await readAll(Buffer.concat([paxHeader(records), rawHeader(header), END])))[0]!;
  for (const [wrong, reason] of [
    ['30 path=x\n', 'a PAX record whose length is wrong'],
    ['9 path=xy\n', 'length is wrong'],
    ['0 path=x\n', 'length is wrong'],
    ['-9 path=x\n', 'length is wrong'],
    ['path=x\n', 'length is wrong'],
    [' 9 path=x\n', 'length is wrong'],
    ['9 path=x ', 'length is wrong'],
    ['4 =\n', 'length is wrong'],
    ['5 =x\n', 'a PAX record without a key'],
    ['8 pathx\n', 'without a key'],
    ['12 path=x\0y\n', 'a NUL in its PAX record "path"'],
    ['16 linkpath=x\0y\n', 'a NUL in its PAX record "linkpath"'],
    ['9 pa\0h=x\n', 'a NUL in its PAX record'],
    [`${'9'.repeat(30)} path=x\n`, 'length is wrong'],
  ] as const)
    await assert.rejects(
      entry([Buffer.from(wrong)]),
      (error: Error) => error.message.startsWith('the tar archive has ') && error.message.includes(reason),
      wrong,
    );
  assert.equal(
    (
      await entry([
        ['path', 'one'],
        ['path', 'two'],
      ])
    ).name,
    'two',
    'the last of several holds',
  );
  assert.deepEqual(
    [
      (
        await entry([
          ['path', ''],
          ['mtime', ''],
          ['uid', ''],
        ])
      ).name,
      (await entry([['mtime', '']])).modified.seconds,
    ],
    ['f', 5],
    'an empty one says nothing',
  );
  assert.deepEqual(
    (
      await entry([
        ['hdrcharset', 'BINARY'],
        ['path', Buffer.from([0xe4])],
      ])
    ).name,
    '\xe4',
  );
  assert.deepEqual(
    (
      await entry([
        ['SCHILY.xattr.user.x', Buffer.from([0, 255])],
        ['SCHILY.xattr.user.e', ''],
      ])
    ).attributes,
    new Map([
      [bytes('user.x'), Buffer.from([0, 255])],
      [bytes('user.e'), Buffer.alloc(0)],
    ]),
  );
  for (const [key, value] of [
    ['uid', '1.5'],
    ['uid', '-2'],
    ['gid', '4294967296'],
    ['uid', '0x10'],
    ['size', '1e3'],
    ['size', '-1'],
    ['size', '9223372036854775808'],
    ['mtime', 'now'],
    ['mtime', '1.2.3'],
    ['mtime', '99999999999999999999'],
    ['atime', '-'],
  ] as const) {
    await assert.rejects(
      entry([[key, value]]),
      /^TtrpcError: entry "f": the tar archive has .*: invalid argument$/,
      `${key}=${value}`,
    );
  }
  await assert.rejects(
    entry([], { type: 'V', name: Buffer.from([0xe4]) }),
    refused('the tar archive has the entry "\\xe4" of type "V", which is not supported'),
  );
});

test('an extended header has its own size, whatever one before it says of the entry', async () => {
  const long = blocks(`${'l'.repeat(150)}\0`);
  const archive = Buffer.concat([
    paxHeader([['size', '600']]),
    rawHeader({ type: 'L', size: 151, name: '././@LongLink', magic: 'ustar  \0' }),
    long,
    rawHeader({ size: 1 }),
    blocks('x'.repeat(600)),
    rawHeader({ name: 'next' }),
    END,
  ]);
  assert.deepEqual(
    (await readAll(archive)).map(({ name, size }) => [name, size]),
    [
      ['l'.repeat(150), 600],
      ['next', 0],
    ],
  );
  const reader = new TarReader(
    pieces(Buffer.concat([paxHeader([['size', String(9 * 2 ** 30)]]), rawHeader({}), blocks('x')])),
  );
  assert.equal((await reader.next())!.size, 9 * 2 ** 30, 'more than 8 GiB');
  assert.deepEqual(
    (
      await readAll(
        Buffer.concat([
          rawHeader({ type: '1', link: 'f', size: 512 }),
          rawHeader({ name: 'next', type: '5', size: 99 }),
          rawHeader({ name: 'last' }),
          END,
        ]),
      )
    ).map(({ name }) => name),
    ['f', 'next', 'last'],
    'links and directories have no body',
  );
});

test("numbers are octal digits, or bytes in two's complement, or nothing that can be read", async () => {
  const base256 = (value: bigint, length: number): Buffer => {
    const out = Buffer.alloc(length);
    let rest = BigInt.asUintN(8 * length, value);
    for (let n = length - 1; n >= 0; n--, rest >>= 8n) out[n] = Number(rest & 255n);
    out[0]! |= 0x80;
    return out;
  };
  const entry = async (fields: Record<number, Buffer | string>, more = {}) =>
    (await readAll(Buffer.concat([rawHeader({ fields, ...more }), END])))[0]!;
  const { uid, gid, modified } = await entry({
    108: base256(4_000_000_000n, 8),
    116: base256(3_000_000_000n, 8),
    136: base256(-5n, 12),
  });
  assert.deepEqual([uid, gid, modified], [4_000_000_000, 3_000_000_000, { seconds: -5, nanos: 0 }]);
  assert.equal((await entry({ 108: ' 17 \0  ', 116: Buffer.from([0, 0, 49, 55, 32, 0]) })).uid, 15, 'blanks around it');
  const reader = new TarReader(pieces(rawHeader({ size: base256(9n * 2n ** 30n, 12) })));
  assert.equal((await reader.next())!.size, 9 * 2 ** 30);
  for (const fields of [
    { 108: '99' },
    { 124: 'garbage' },
    { 124: base256(2n ** 60n, 12) },
    { 136: base256(2n ** 70n, 12) },
    { 100: '7 7' },
  ])
    await assert.rejects(entry(fields), /has a header whose \w+ cannot be read/);
  await assert.rejects(
    entry({ 124: base256(-512n, 12) }),
    /^TtrpcError: entry "f": the tar archive has an entry of -512 bytes/,
  );
  const times: [string, number, number][] = [
    ['1.25', 1, 250_000_000],
    ['-1.25', -2, 750_000_000],
    ['-5', -5, 0],
    ['0.1234567891', 0, 123_456_789],
    ['7.', 7, 0],
    ['-0.5', -1, 500_000_000],
  ];
  for (const [text, seconds, nanos] of times)
    assert.deepEqual(
      (await readAll(Buffer.concat([paxHeader([['mtime', text]]), rawHeader(), END])))[0]!.modified,
      { seconds, nanos },
      text,
    );
  assert.deepEqual(
    [
      (await entry({ 329: 'nonsense' })).major,
      (await entry({ 329: '0000010\0', 337: '0000454\0' }, { type: '4' })).minor,
    ],
    [0, 300],
    'only devices have device numbers',
  );
});

test("an archive's end is two blocks of zeros, and what is behind it is not looked at", async () => {
  const one = rawHeader({ name: 'one' });
  const names = async (...parts: Buffer[]) => (await readAll(Buffer.concat(parts))).map(({ name }) => name);
  const zeros = Buffer.alloc(BLOCK);
  assert.deepEqual(await names(one, zeros, zeros, rawHeader({ name: 'two' }), Buffer.from('garbage')), ['one']);
  assert.deepEqual(
    [await names(one, zeros), await names(one), await names(), await names(zeros, zeros)],
    [['one'], ['one'], [], []],
  );
  await assert.rejects(
    names(one, zeros, rawHeader({ name: 'two' })),
    refused('the tar archive goes on behind one block of zeros: it is damaged, or several archives in one'),
  );
  await assert.rejects(names(one.subarray(0, 300)), refused('the tar archive ends in the middle of an entry'));
});

test('headers of old programs are read as what they meant', async () => {
  const only = async (header: Buffer) => (await readAll(Buffer.concat([header, END])))[0]!;
  // Go before 1.8 wrote a prefix where GNU's format has times.
  assert.equal(
    (await only(rawHeader({ name: 'name', magic: 'ustar  \0', fields: { 345: 'some/prefix' } }))).name,
    'some/prefix/name',
  );
  assert.equal(
    (
      await only(
        rawHeader({ name: 'name', magic: 'ustar  \0', fields: { 345: '14371425600\0', 357: '14371425601\0' } }),
      )
    ).name,
    'name',
  );
  assert.equal((await only(rawHeader({ name: 'name', fields: { 345: Buffer.from([0xe4]) } }))).name, '\xe4/name');
  assert.deepEqual(
    [
      (await only(rawHeader({ name: 'd/', type: '\0', magic: '' }))).type,
      (await only(rawHeader({ name: 'd/', type: '0' }))).type,
    ],
    ['directory', 'file'],
  );
  // A sum of signed bytes.
  const signed = rawHeader({ name: Buffer.from([0xe4]) });
  const sum = [...signed].reduce(
    (total, byte, n) => total + (n >= 148 && n < 156 ? 32 : byte > 127 ? byte - 256 : byte),
    0,
  );
  signed.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  assert.equal((await only(signed)).name, '\xe4');
});
