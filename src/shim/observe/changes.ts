/** Who is told that something has changed which another process would have to know, or have, to go on. */
export class Changes {
  /** Called at each change. */
  onChange: () => void = () => undefined;

  /** A descriptor is open or closed, a state is another. */
  note(): void {
    this.onChange();
  }
}
