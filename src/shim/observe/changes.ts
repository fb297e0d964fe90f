/** Who is told that something has changed which another process would have to know, or have, to go on. */
export class Changes {
  /** Called at each change. */
  onChange: () => void = () => undefined;
  /** Called at each exit. */
  onExit: () => void = () => undefined;

  /** A descriptor is open or closed, a state is another. */
  note(): void {
    this.onChange();
  }

  /** A process has ended: until that is noted its parent remembers it, so it may be noted with what follows from it. */
  noteExit(): void {
    this.onExit();
  }
}
