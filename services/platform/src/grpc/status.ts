import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Metadata, type ServiceError } from "@grpc/grpc-js";
import { StatusSchema } from "#gen/google/rpc/status_pb.js";
import { addHeaders, toHeaders } from "./metadata.ts";

/** Where gRPC carries `google.rpc.Status` with its details. */
const detailsHeader = "grpc-status-details-bin";

/** How a call ends in grpc-js. */
export interface GrpcStatus {
  code: number;
  details: string;
  metadata: Metadata;
}

type Detail = ConnectError["details"][number];

function packDetail(detail: Detail): Pick<Any, "typeUrl" | "value"> {
  if ("desc" in detail) return anyPack(detail.desc, create(detail.desc, detail.value));
  return { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value };
}

/** An error as the status that ends a call; `trailer` is sent along. */
export function toGrpcStatus(error: ConnectError, trailer?: Headers): GrpcStatus {
  const metadata = new Metadata();
  if (trailer) addHeaders(metadata, trailer);
  // The headers of another service's answer are that answer's, not ours.
  if (!error.isWireError) addHeaders(metadata, error.metadata);
  if (error.details.length > 0) {
    const { code, rawMessage: message } = error;
    const status = create(StatusSchema, { code, message, details: error.details.map(packDetail) });
    metadata.set(detailsHeader, Buffer.from(toBinary(StatusSchema, status)));
  }
  return { code: error.code, details: error.rawMessage, metadata };
}

function readDetails(metadata: Metadata): Detail[] {
  const value = metadata.get(detailsHeader)[0];
  if (!(value instanceof Uint8Array)) return [];
  const status = fromBinary(StatusSchema, value);
  return status.details.map((detail) => ({
    type: detail.typeUrl.slice(detail.typeUrl.lastIndexOf("/") + 1),
    value: detail.value,
  }));
}

/** What a callee answered, as an error with its details. */
export function fromServiceError(error: ServiceError): ConnectError {
  const code = error.code in Code ? (error.code as number as Code) : Code.Unknown;
  const result = new ConnectError(error.details, code, toHeaders(error.metadata), undefined, error);
  result.details = readDetails(error.metadata);
  result.isWireError = true;
  return result;
}
