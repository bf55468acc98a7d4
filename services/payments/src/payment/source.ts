/** Who wanted something done with a payment, and in which trace: kept with it, for whoever carries it on. */
export interface Source {
  readonly actor: string;
  readonly requestId: string;
  /** W3C trace context; empty when the request was not traced. */
  readonly traceparent: string;
}
