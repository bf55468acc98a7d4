import { type DescFile, type DescService, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server, ServerDuplexStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { service as health } from "grpc-health-check";
import { file_google_rpc_error_details } from "#gen/google/rpc/error_details_pb.js";

/** A file and everything it imports, each once. */
function withDependencies(file: DescFile, found: Set<DescFile>): void {
  if (found.has(file)) return;
  found.add(file);
  for (const dependency of file.dependencies) withDependencies(dependency, found);
}

function encode(file: DescFile): Buffer {
  return Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto));
}

const healthName = "grpc.health.v1.Health";

/** The health service's file. Its loader leaves off how the entries of a map must be called, and grpcurl refuses that. */
function healthFile(): Buffer {
  const [bytes = Buffer.alloc(0)] = health.Check?.requestType.fileDescriptorProtos ?? [];
  const file = fromBinary(FileDescriptorProtoSchema, Uint8Array.from(bytes));
  for (const { field: fields, nestedType } of file.messageType) {
    for (const entry of nestedType.filter(({ name, options }) => options?.mapEntry && !name.endsWith("Entry"))) {
      for (const field of fields) if (field.typeName === entry.name) field.typeName += "Entry";
      entry.name += "Entry";
    }
  }
  return Buffer.from(toBinary(FileDescriptorProtoSchema, file));
}

/** What of an answer is looked at. */
interface Answer {
  readonly fileDescriptorResponse?: { fileDescriptorProto: Uint8Array[] };
}

function nameOf(file: Uint8Array): string {
  return fromBinary(FileDescriptorProtoSchema, Uint8Array.from(file)).name;
}

/**
 * The package's handlers, answering with the files as they were given to it: it writes them anew, without the options that
 * it does not know, and our rules are such options.
 */
function withWholeFiles(
  handlers: UntypedServiceImplementation,
  files: ReadonlyMap<string, Buffer>,
): UntypedServiceImplementation {
  const handle = handlers.ServerReflectionInfo as (stream: ServerDuplexStream<unknown, Answer>) => void;
  return {
    ServerReflectionInfo: (stream: ServerDuplexStream<unknown, Answer>) => {
      const write = stream.write.bind(stream) as (answer: Answer) => boolean;
      stream.write = (answer: Answer) => {
        const found = answer.fileDescriptorResponse;
        if (found) found.fileDescriptorProto = found.fileDescriptorProto.map((file) => files.get(nameOf(file)) ?? file);
        return write(answer);
      };
      handle(stream);
    },
  };
}

/**
 * Answers `grpc.reflection.v1` and `v1alpha` for the given services, from the descriptors in the generated code, and for
 * the health service.
 */
export function addReflection(server: Server, services: readonly DescService[]): void {
  const files = new Set<DescFile>();
  for (const service of services) withDependencies(service.file, files);
  // No service imports them, but errors carry them: without them grpcurl shows details as bytes.
  withDependencies(file_google_rpc_error_details, files);
  const fileDescriptorProtos = [...[...files].map(encode), healthFile()];
  const byName = new Map(fileDescriptorProtos.map((file) => [nameOf(file), file]));
  // The package takes what proto-loader makes; of an entry it reads the descriptors only.
  const entry = { format: "Protocol Buffer 3 EnumDescriptorProto", type: {}, fileDescriptorProtos } as const;
  const names = [healthName, ...services.map((service) => service.typeName)];
  new ReflectionService({ entry }, { services: names }).addToServer({
    addService: (definition, handlers) => server.addService(definition, withWholeFiles(handlers, byName)),
  });
}
