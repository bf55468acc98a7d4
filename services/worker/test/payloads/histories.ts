import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Client, credentials } from "@grpc/grpc-js";

const service = "/temporal.api.workflowservice.v1.WorkflowService";

/**
 * What Temporal says about workflows, byte for byte: no client of its own decodes anything on the way. See
 * https://github.com/temporalio/api, temporal/api/workflowservice/v1/request_response.proto.
 */
export class RawHistories implements Disposable {
  readonly #client: Client;

  /** @param address `host:port` of the frontend */
  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure());
  }

  /** The history of a workflow's last run, all pages, and what Temporal says of it besides. */
  async of(workflowId: string): Promise<Buffer> {
    const execution = new BinaryWriter().uint32(10).string(workflowId).finish();
    const request = () => new BinaryWriter().uint32(10).string("default").uint32(18).bytes(execution);
    const pages = [await this.#call("DescribeWorkflowExecution", request())];
    let next: Uint8Array = new Uint8Array();
    do {
      const page = await this.#call("GetWorkflowExecutionHistory", request().uint32(34).bytes(next));
      pages.push(page);
      next = fieldOf(page, 3);
    } while (next.length > 0);
    return Buffer.concat(pages);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  #call(method: string, request: BinaryWriter): Promise<Buffer> {
    const same = (bytes: Buffer) => bytes;
    const bytes = Buffer.from(request.finish());
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(`${service}/${method}`, same, same, bytes, (error, answer) => {
        if (error || !answer) reject(error ?? new Error("no answer"));
        else resolve(answer);
      });
    });
  }
}

/** The bytes of a field; empty when the message has none. */
function fieldOf(message: Uint8Array, wanted: number): Uint8Array {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === wanted && type === WireType.LengthDelimited) return reader.bytes();
    reader.skip(type);
  }
  return new Uint8Array();
}
