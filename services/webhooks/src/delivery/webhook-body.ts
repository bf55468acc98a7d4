/** What an endpoint is told. */
export interface Told {
  readonly type: string;
  readonly subject: string;
  readonly time: Date;
  /** JSON. */
  readonly data: string;
}

/** Standard Webhooks wants bodies below 20 kB. */
export const longestBody = 20_000;

/** The body of a request: `{type, timestamp, data}`. */
export function bodyOf({ type, time, data }: Told): string {
  return `{"type":${JSON.stringify(type)},"timestamp":${JSON.stringify(time.toISOString())},"data":${data}}`;
}

/** The data as it is sent: what is too long says so, and what it is about. Who wants it asks the service. */
export function fitting(told: Told): string {
  if (Buffer.byteLength(bodyOf(told)) < longestBody) return told.data;
  return JSON.stringify({ subject: told.subject, tooLong: true });
}
