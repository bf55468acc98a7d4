import threads from "node:worker_threads";

const execArgv = ["--import", new URL("./workflow-thread.ts", import.meta.url).href];

/**
 * Does what starts the threads in which workflows run, without what costs Temporal's SDK most of their time and is of no use here. The SDK has options
 * for neither.
 *
 * - The hooks by which it remembers where each promise was made. Every promise of every workflow goes through them, and each time they compile a
 *   function: with batches of orders that was 40 % of a worker's CPU. The SDK can do without where there are no such hooks. The query `__stack_trace`
 *   has nothing to tell then.
 * - A limit for each of the five or so scripts that a workflow runs for a single answer. Node watches each by a thread that it starts and ends for it, and waits for
 *   both. All of them together are watched by one.
 */
export async function withLeanThreads<T>(start: () => Promise<T>): Promise<T> {
  const { Worker } = threads;
  threads.Worker = class extends Worker {
    constructor(file: string | URL, options?: threads.WorkerOptions) {
      super(file, { ...options, execArgv: [...(options?.execArgv ?? []), ...execArgv] });
    }
  };
  try {
    return await start();
  } finally {
    threads.Worker = Worker;
  }
}
