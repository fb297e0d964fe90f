/** Work that is held where a test says, so that something else happens in between. */
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { TestContext } from 'node:test';
import { NativeDriver } from '../../src/daemon/snapshots/native.js';

/** A place that is reached once and goes on when it is told to. */
export class Hold {
  #reach!: () => void;
  release!: () => void;
  /** Kept when somebody has come here. */
  readonly reached = new Promise<void>((resolve) => (this.#reach = resolve));
  readonly #released = new Promise<void>((resolve) => (this.release = resolve));

  async wait(): Promise<void> {
    this.#reach();
    await this.#released;
  }
}

/** The native driver with places to hold it at, by layer. */
export class HeldDriver extends NativeDriver {
  /** A layer is made, and its record is not. */
  readonly made = new Map<string, Hold>();
  /** A layer is about to be removed. */
  readonly removing = new Map<string, Hold>();
  /** Runs while a layer is measured. */
  measuring: () => Promise<void> = () => Promise.resolve();

  override async create(...args: Parameters<NativeDriver['create']>): Promise<void> {
    await super.create(...args);
    await this.made.get(args[0])?.wait();
  }

  override async remove(id: string): Promise<void> {
    await this.removing.get(id)?.wait();
    await super.remove(id);
  }

  override async usage(id: string): Promise<{ size: number; inodes: number }> {
    await this.measuring();
    return super.usage(id);
  }

  override layers(): string[] {
    return super.layers().sort((a, b) => Number(a) - Number(b));
  }
}

/** Holds the next removal of a tree of files before it has begun. Those after it are not held. */
export function holdNextRemoval(t: TestContext): Hold {
  const hold = new Hold();
  const { rm } = fsPromises;
  const restore = (): void => {
    fsPromises.rm = rm;
    syncBuiltinESMExports();
  };
  fsPromises.rm = async (...args) => {
    restore();
    await hold.wait();
    await rm(...args);
  };
  syncBuiltinESMExports();
  t.after(restore);
  return hold;
}
