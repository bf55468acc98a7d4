/** There is no cluster and none can be had here, or it does not do what it should; the message is one sentence. */
export class ClusterError extends Error {
  override readonly name = "ClusterError";
}
