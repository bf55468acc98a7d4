// A protoc plugin: writes openapi.json, the OpenAPI document of the calls that all services answer as JSON over HTTP. A service
// serves the part of it that is about its own calls.
import {
  create,
  createFileRegistry,
  type DescFile,
  type DescMessage,
  type FileRegistry,
  hasOption,
} from "@bufbuild/protobuf";
import { usedTypes } from "@bufbuild/protobuf/reflect";
import {
  type CodeGeneratorRequest,
  CodeGeneratorResponse_FileSchema,
  CodeGeneratorResponseSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { type Plugin, runNodeJs } from "@bufbuild/protoplugin";
import { predefined } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { accessIn, callersOf, isOpen } from "../callers.ts";
import { personalIn } from "../personal.ts";
import { allReasons, endOf, errorSchemas, examplesOf, Refusals, reasonsFor } from "./errors.ts";
import { Examples } from "./examples.ts";
import { Judge } from "./judge.ts";
import {
  isShown,
  pathOf,
  securitySchemes,
  sharedHeaders,
  sharedParameters,
  sharedResponses,
  tagOf,
} from "./operations.ts";
import { Rules } from "./rules.ts";
import { Schemas, type Type } from "./schemas.ts";

const description = `Each call is made by \`POST\` with its request as JSON. Calls without side effects may be made by \`GET\`
too, with the request in \`message\`; their answers have an \`ETag\`, and \`If-None-Match\` is answered with 304 while nothing changes.

Fields are named in camelCase. A key that a message has not, a key twice, or an unknown name of an enum is refused. Whole numbers of 64
bits are texts; numbers are taken as well. What has its default value is left out of answers: an empty text, 0, false, an empty list.

A call that changes something has a \`requestId\`: repeated with the same one it has no second effect. Errors have Connect's form, with the
details of gRPC.

Where a service asks for credentials, a call has \`Authorization: Bearer …\`, except those that everybody may make.

The messages of a stream stand in frames, as Connect's protocol has it: a byte, the length in four bytes with the highest first, and as
many bytes of JSON. The request is one frame whose first byte is 0. Of the answer, each message is in a frame of the same kind as soon as
it is there, and the last frame begins with 2: its JSON has an \`error\` when the call failed. The status is 200 in either case. What stands
in the frames is said by \`x-frames\`, by their first byte.`;

/** The messages, and all types that stand in them. */
function withUsed(messages: readonly DescMessage[]): Set<Type> {
  const used = messages.flatMap((message) => [message, ...usedTypes(message)]);
  return new Set(used.filter((type) => type.kind === "message" || type.kind === "enum"));
}

function isOurs(file: DescFile): boolean {
  return file.proto.package.startsWith("shop.");
}

function documentOf(registry: FileRegistry): object {
  const files = [...registry.files].filter(isOurs).sort((a, b) => a.name.localeCompare(b.name));
  const enums = files.flatMap((file) => file.enums);
  const services = files.flatMap((file) => file.services);
  const methods = services.flatMap((service) => service.methods).filter(isShown);
  const rules = new Rules(files.flatMap(({ extensions }) => extensions).filter((each) => hasOption(each, predefined)));
  const judge = new Judge(registry);
  const examples = new Examples(rules, judge);
  const answered = withUsed(methods.map(({ output }) => output));
  const schemas = new Schemas({ rules, judge, answered, personal: personalIn(registry) });
  const refusals = new Refusals();
  const access = accessIn(registry);
  const reasons = allReasons(enums);
  const calls = methods.map((method) => {
    const open = isOpen(method, access);
    const own = reasonsFor(method, open, reasons);
    return {
      method,
      refusals: method.methodKind === "unary" ? refusals.of(own) : {},
      end: endOf(own),
      example: examples.of(method.input),
      callers: callersOf(method, access),
      open,
      input: schemas.refTo(method.input, "asked"),
      output: schemas.refTo(method.output, "answered"),
    };
  });
  return {
    openapi: "3.1.1",
    info: { title: "Ordermesh", version: "1", description },
    servers: [{ url: "/" }],
    tags: services.map(tagOf),
    paths: Object.fromEntries(calls.map(pathOf)),
    components: {
      schemas: { ...schemas.all, ...errorSchemas },
      parameters: sharedParameters,
      headers: sharedHeaders,
      responses: { ...sharedResponses, ...refusals.responses },
      examples: examplesOf(reasons),
      securitySchemes,
    },
  };
}

function run(request: CodeGeneratorRequest) {
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: request.protoFile }));
  const response = create(CodeGeneratorResponseSchema, { supportedFeatures: 1n });
  // Each input of buf is a request of its own; the protos of Google are one.
  if ([...registry.files].some(isOurs)) {
    const content = `${JSON.stringify(documentOf(registry), undefined, 2)}\n`;
    response.file.push(create(CodeGeneratorResponse_FileSchema, { name: "openapi.json", content }));
  }
  return response;
}

const plugin: Plugin = { name: "protoc-gen-openapi", version: "1", run };
runNodeJs(plugin);
