import { Client, credentials } from "@grpc/grpc-js";
import { service } from "grpc-health-check";
import pg from "pg";
import { StackError } from "../errors.ts";
import { within } from "./within.ts";

/** One question whether a component can do its work; throws while it cannot. */
export type Probe = () => Promise<void>;

const pauseMs = 100;

/** Asks the standard gRPC health service about the whole server. */
export function healthProbe(address: string): Probe {
  const check = service.Check;
  if (!check) throw new Error("grpc-health-check has no Check");
  return () =>
    new Promise((resolve, reject) => {
      // A client for each question: a channel that failed would wait longer and longer before it connects again.
      const client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
      const options = { deadline: Date.now() + 2_000 };
      const { path, requestSerialize, responseDeserialize } = check;
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { service: "" },
        options,
        (error, answer) => {
          client.close();
          const status = (answer as { status?: string } | undefined)?.status;
          if (error) reject(error);
          else if (status !== "SERVING") reject(new Error(`its health is ${status}`));
          else resolve();
        },
      );
    });
}

/** Asks PostgreSQL something as a superuser. */
export function databaseProbe(url: string): Probe {
  return async () => {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
    // A connection that breaks outside a query is reported here too; the probe fails by its query anyway.
    client.on("error", () => undefined);
    try {
      await client.connect();
      await client.query("select 1");
    } finally {
      await client.end();
    }
  };
}

/** Asks a URL; any answer of the 200s will do. */
export function httpProbe(url: string): Probe {
  return async () => {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
  };
}

/** When to give up. */
export interface Patience {
  readonly deadlineMs: number;
  /** Throws when waiting has no sense any more, for example because the process ended. */
  readonly check: () => void;
}

/** Asks until the answer is yes. @throws StackError with the last answer after the deadline */
export async function untilReady(name: string, probe: Probe, patience: Patience): Promise<void> {
  const { deadlineMs, check } = patience;
  let answer: unknown;
  const ask = async () => {
    check();
    try {
      await probe();
      return true;
    } catch (error) {
      answer = error;
      return false;
    }
  };
  if (await within(deadlineMs, ask, pauseMs)) return;
  throw new StackError(`${name} is not ready after ${deadlineMs / 1000} s: ${(answer as Error).message}.`);
}
