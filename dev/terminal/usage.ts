import { StackError } from "../errors.ts";

/** What is wrong with a command line, in sentences: what parseArgs says does not always end as one, and names no help. */
export function usageError(error: unknown): StackError {
  if (error instanceof StackError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StackError(`${message.replace(/\.?$/, ".")} Try --help.`);
}
