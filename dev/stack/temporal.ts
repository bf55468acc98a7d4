import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import type { Probe } from "../process/readiness.ts";

const describeNamespace = "/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace";
/** DescribeNamespaceRequest { namespace: "default" } in protobuf's encoding: field 1, seven bytes. */
const request = Buffer.from("\n\x07default");
/** A busy machine is slow to answer. */
const timeoutMs = 5_000;

/** Asks Temporal for its namespace, which it reads from its database. */
export function temporalProbe(address: string): Probe {
  return () =>
    new Promise((resolve, reject) => {
      const client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
      const same = (bytes: Buffer) => bytes;
      const options = { deadline: Date.now() + timeoutMs };
      client.makeUnaryRequest(describeNamespace, same, same, request, options, (error) => {
        client.close();
        if (error) reject(error);
        else resolve();
      });
    });
}

/**
 * Whether Temporal has lost its database for good. The development server keeps one SQLite connection, and drivers before
 * modernc.org/sqlite 1.44 can leave it interrupted forever when a call is cancelled at the wrong moment
 * (https://gitlab.com/cznic/sqlite/-/issues/241). Only a new start helps; nothing that was committed is lost.
 */
export async function hasLostDatabase(address: string): Promise<boolean> {
  try {
    await temporalProbe(address)();
    return false;
  } catch (error) {
    return (error as ServiceError).details?.includes("interrupted (9)") === true;
  }
}
