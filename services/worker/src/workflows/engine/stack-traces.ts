/**
 * Loaded once for all workflows. For every promise the SDK makes an error without a message, to remember where the promise
 * was made: with batches of orders that took most of a worker's CPU time. Here such an error has no stack, and so costs
 * nothing; the query `__stack_trace` has nothing to tell. Errors with a message are as they always are.
 */
globalThis.Error = new Proxy(Error, {
  construct: (target, args, newTarget) =>
    args.length === 0 && newTarget === globalThis.Error
      ? Object.create(target.prototype)
      : Reflect.construct(target, args, newTarget),
});
