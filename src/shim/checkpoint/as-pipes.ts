/**
 * Makes a checkpoint say that the container's stdio were pipes. That is what every shim that copies gives its
 * containers, and what runc knows how to replace when it restores: the image then suits any shim, and runc by itself.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientFile } from './client-files.js';
import { Message, readImage, writeImage } from './image-file.js';

/** criu's kinds of open files, and the numbers of the fields that are used here (criu, images/fdinfo.proto and others). */
const REG = 1;
const PIPE = 2;
const FIFO = 3;
const entry = { type: 1, id: 2, reg: 3, fifo: 17, pipe: 18 };
const regular = { flags: 2, fown: 5, name: 6 };
const fifo = { pipeId: 2, regularId: 3 };
const pipe = { id: 1, pipeId: 2, flags: 3, fown: 4 };
const descriptor = { id: 1, type: 3 };
/** Set on whatever is opened by a path, and never on a pipe. */
const O_LARGEFILE = 0o100000;

/** @param dir of the images, complete */
export function describeAsPipes(dir: string, files: readonly ClientFile[]): void {
  const image = join(dir, 'files.img');
  const entries = readImage(image);
  const pipeIds = unusedPipeIds(entries, files);
  const regulars = new Map<number, Message>();
  for (const one of entries) {
    const reg = one.number(entry.type) === REG ? one.message(entry.reg) : undefined;
    if (reg && pipeIds.has(reg.bytes(regular.name)?.toString() ?? '')) regulars.set(one.number(entry.id)!, reg);
  }
  // An open FIFO is two entries: itself, and a file that has its name.
  const names = new Set<number>();
  const replaced = new Set<number>();
  const rewritten = entries.map((one) => {
    const type = one.number(entry.type);
    const id = one.number(entry.id)!;
    const of = type === FIFO ? (one.message(entry.fifo)?.number(fifo.regularId) ?? id) : id;
    const reg = type === FIFO || type === REG ? regulars.get(of) : undefined;
    if (!reg) return one;
    replaced.add(id);
    if (type === FIFO) names.add(of);
    return pipeEntry(id, pipeIds.get(reg.bytes(regular.name)!.toString())!, reg);
  });
  writeImage(
    image,
    rewritten.filter((one, index) => !(entries[index]!.number(entry.type) === REG && names.has(one.number(entry.id)!))),
  );
  for (const name of readdirSync(dir)) if (/^fdinfo-\d+\.img$/.test(name)) renameTypes(join(dir, name), replaced);
  writeDescriptors(join(dir, 'descriptors.json'), files, pipeIds);
}

function pipeEntry(id: number, pipeId: number, reg: Message): Message {
  const message = new Message()
    .setNumber(pipe.id, id)
    .setNumber(pipe.pipeId, pipeId)
    .setNumber(pipe.flags, (reg.number(regular.flags) ?? 0) & ~O_LARGEFILE)
    .setBytes(pipe.fown, reg.bytes(regular.fown) ?? Buffer.alloc(0));
  return new Message().setNumber(entry.type, PIPE).setNumber(entry.id, id).setBytes(entry.pipe, message.encode());
}

/** By criu's name for the file. */
function unusedPipeIds(entries: readonly Message[], files: readonly ClientFile[]): Map<string, number> {
  const used = new Set(
    entries.flatMap((one) => [
      one.message(entry.pipe)?.number(pipe.pipeId),
      one.message(entry.fifo)?.number(fifo.pipeId),
    ]),
  );
  let next = 0x7fffffff;
  return new Map(
    files.map(({ key }) => {
      while (used.has(next)) next--;
      return [key, next--];
    }),
  );
}

function renameTypes(image: string, ids: ReadonlySet<number>): void {
  const messages = readImage(image);
  for (const message of messages) {
    const type = message.number(descriptor.type);
    if ((type === FIFO || type === REG) && ids.has(message.number(descriptor.id)!))
      message.setNumber(descriptor.type, PIPE);
  }
  writeImage(image, messages);
}

/** What the container's 0, 1 and 2 were: those that were pipes get the descriptors of whoever restores. */
function writeDescriptors(file: string, files: readonly ClientFile[], pipeIds: ReadonlyMap<string, number>): void {
  const names: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(names)) throw new Error(`${file} is no list`);
  const renamed = names.map((name: unknown, fd) => {
    const found = files.find(({ path }) => path === name) ?? files.find(({ fds }) => fds.includes(fd));
    return found ? `pipe:[${pipeIds.get(found.key)}]` : name;
  });
  writeFileSync(file, JSON.stringify(renamed));
}
