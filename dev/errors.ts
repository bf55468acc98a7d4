/** The stack cannot run; the message is one sentence that says why, and what to do. */
export class StackError extends Error {
  override readonly name = "StackError";
}
