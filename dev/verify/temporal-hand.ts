import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Client, credentials } from "@grpc/grpc-js";
import { encodeId } from "#platform/id.ts";

const service = "/temporal.api.workflowservice.v1.WorkflowService";
const timeoutMs = 2_000;

/**
 * Does to workflows what an operator could. Two calls, written by hand: only the worker knows Temporal's client
 * (https://github.com/temporalio/api, temporal/api/workflowservice/v1/request_response.proto).
 */
export class TemporalHand {
  readonly #client: Client;

  /** @param address `host:port` of its frontend */
  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  }

  /** Ends a workflow without asking it. Whether it ran, and was reached. @param uuid an episode's id as orders has it */
  terminate(uuid: string): Promise<boolean> {
    const request = requestFor(uuid).uint32(26).string("campaign");
    return this.#call("TerminateWorkflowExecution", request);
  }

  /** Has a workflow forgotten, with its history. */
  delete(uuid: string): Promise<boolean> {
    return this.#call("DeleteWorkflowExecution", requestFor(uuid));
  }

  close(): void {
    this.#client.close();
  }

  #call(method: string, request: BinaryWriter): Promise<boolean> {
    const bytes = Buffer.from(request.finish());
    const same = (given: Buffer) => given;
    const options = { deadline: Date.now() + timeoutMs };
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(`${service}/${method}`, same, same, bytes, options, (error) => resolve(!error));
    });
  }
}

/** Field 1: the namespace; field 2: the workflow, by its id alone. */
function requestFor(uuid: string): BinaryWriter {
  const execution = new BinaryWriter().uint32(10).string(encodeId(uuid));
  return new BinaryWriter().uint32(10).string("default").uint32(18).bytes(execution.finish());
}
