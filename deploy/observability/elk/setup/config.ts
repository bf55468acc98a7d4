const environment = process.env;

/** A server of the stack, and who asks. */
export interface Server {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

function server(prefix: string): Server | undefined {
  const url = environment[`${prefix}_URL`];
  if (!url) return undefined;
  return { url, username: environment.ELASTIC_USERNAME, password: environment.ELASTIC_PASSWORD };
}

/** From ELASTICSEARCH_URL; ELASTIC_USERNAME and ELASTIC_PASSWORD when it asks for them. */
export const elasticsearch = server("ELASTICSEARCH");

/** From KIBANA_URL; nothing is set up there without it. */
export const kibana = server("KIBANA");

/** From JAEGER_URL: where a trace id in a log line leads. */
export const jaegerUrl = environment.JAEGER_URL ?? "http://localhost:16686";
