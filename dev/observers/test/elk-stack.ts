import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call } from "../../../deploy/observability/elk/setup/client.ts";
import { installTemplates } from "../../../deploy/observability/elk/setup/install.ts";
import { Supervisor } from "../../process/supervisor.ts";
import { freePort, type LogPlan, startElasticsearch } from "../elk.ts";

/** One hit of a search: a stored log line. */
export interface Line {
  readonly _id: string;
  readonly _source: Readonly<Record<string, unknown>> & { readonly message: string };
}

/** A real Elasticsearch that knows our templates. */
export interface TestElastic extends AsyncDisposable {
  readonly plan: LogPlan;
  readonly supervisor: Supervisor;
  readonly url: string;
  /** All stored lines that match a query, up to 10,000. */
  search(query: object): Promise<Line[]>;
  count(query?: object): Promise<number>;
}

/** The data stream of the namespace that tests use. */
export const stream = "logs-ordermesh-test";

/** Starts one on a free port with a folder of its own; both are gone afterwards, however the test ends. */
export async function testElastic(): Promise<TestElastic> {
  const directory = await mkdtemp(join(tmpdir(), "ordermesh-elk-"));
  // The supervisor's guard writes down there what runs.
  await mkdir(join(directory, "run"));
  const plan: LogPlan = {
    directory,
    elasticsearchPort: await freePort(),
    logs: join(directory, "pods"),
    namespace: "test",
  };
  const url = `http://127.0.0.1:${plan.elasticsearchPort}`;
  const supervisor = await Supervisor.open(directory, { restart: false }).catch(async (error: unknown) => {
    await rm(directory, { recursive: true, force: true });
    throw error;
  });
  const dispose = async () => {
    await supervisor.stop(10_000);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await startElasticsearch(supervisor, plan);
    await installTemplates({ url });
  } catch (error) {
    await dispose();
    throw error;
  }
  const search = async (query: object) => {
    await call({ url }, { method: "POST", path: `/${stream}/_refresh` });
    const body = JSON.stringify({ query, size: 10_000 });
    const answer = await call({ url }, { method: "POST", path: `/${stream}/_search`, body });
    return (answer as { hits: { hits: Line[] } }).hits.hits;
  };
  const count = async (query: object = { match_all: {} }) => {
    await call({ url }, { method: "POST", path: `/${stream}/_refresh?ignore_unavailable=true` });
    const path = `/${stream}/_count?ignore_unavailable=true`;
    const answer = await call({ url }, { method: "POST", path, body: JSON.stringify({ query }) });
    return (answer as { count: number }).count;
  };
  return { plan, supervisor, url, search, count, [Symbol.asyncDispose]: dispose };
}
