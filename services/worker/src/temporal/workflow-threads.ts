import threads from "node:worker_threads";

/** Run by each thread before Temporal's own code: whoever asks for hooks of promises gets none. */
const withoutPromiseHooks = "import v8 from 'node:v8'; v8.promiseHooks.createHook = () => () => {};";
const execArgv = ["--import", `data:text/javascript,${encodeURIComponent(withoutPromiseHooks)}`];

/**
 * Does what starts the threads in which workflows run, without the hooks by which Temporal's SDK remembers where each promise
 * was made. Every promise of every workflow goes through them, and each time they compile a function: with batches of orders that
 * was 40 % of a worker's CPU. The SDK has no option for it, and can do without where there are no such hooks. The query
 * `__stack_trace` has nothing to tell then.
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
