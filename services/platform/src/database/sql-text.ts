/** A statement, by whose name it is known in metrics and traces; names are unique within a process. */
export interface SqlText {
  readonly name: string;
  readonly text: string;
  /** False for one that is planned anew each time; the others are prepared once per connection. */
  readonly prepared?: false;
}
