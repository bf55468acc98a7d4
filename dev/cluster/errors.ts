/** There is no cluster and none can be had here, or it does not do what it should; the message is one sentence. */
export class ClusterError extends Error {
  override readonly name = "ClusterError";
}

/** What a stage needs is not here; the message says what. */
export class LeftOut extends Error {
  override readonly name = "LeftOut";
}
