// A protoc plugin: writes one Markdown page for each package of the contract (services, calls, messages, enums, the tables
// of error reasons and of rules), so that the reference cannot differ from the protos.
import {
  create,
  createFileRegistry,
  type DescEnum,
  type DescExtension,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  type FileRegistry,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorResponse_FileSchema,
  CodeGeneratorResponseSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { type Plugin, runNodeJs } from "@bufbuild/protoplugin";
import {
  type FieldRules,
  field as fieldRules,
  Ignore,
  predefined,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { type Access, accessIn, callersOf } from "./callers.ts";
import { commentOf } from "./comment.ts";
import { type Personal, personalIn, personalWords } from "./personal.ts";

function cell(text: string): string {
  return text.replaceAll("\n\n", " ").replaceAll("|", "\\|");
}

function packageOf(file: DescFile): string {
  return file.proto.package;
}

/** What is called, or implemented, from outside of this repository. */
function isOurs(name: string): boolean {
  return name.startsWith("shop.") || name.startsWith("ordermesh.connectors.");
}

function link(desc: DescMessage | DescEnum, from: string): string {
  const target = packageOf(desc.file);
  if (!isOurs(target)) return desc.typeName;
  return `[${desc.name}](${target === from ? "" : pageOf(target)}#${desc.name.toLowerCase()})`;
}

function scalarName(scalar: ScalarType): string {
  return ScalarType[scalar].toLowerCase();
}

function typeOf(field: DescField, from: string): string {
  switch (field.fieldKind) {
    case "scalar":
      return scalarName(field.scalar);
    case "enum":
      return link(field.enum, from);
    case "message":
      return link(field.message, from);
    case "map":
      return `map of ${scalarName(field.mapKey)} to ${field.mapKind === "scalar" ? scalarName(field.scalar) : (field.message ?? field.enum)?.name}`;
    case "list":
      return `list of ${field.listKind === "scalar" ? scalarName(field.scalar) : link(field.listKind === "message" ? field.message : field.enum, from)}`;
  }
}

/** The rules that the contract has predefined, of all packages. */
type Rules = readonly DescExtension[];

/** What the predefined rules of a field are called: "id", "id or empty", "traceparents, each traceparent". */
function rulesOf(field: DescField, rules: Rules): string {
  const from = packageOf(field.parent.file);
  const named = ({ type }: FieldRules): string[] =>
    (type.value?.$unknown ?? []).flatMap(({ no }) => {
      const rule = rules.find(({ extendee, number }) => extendee.typeName === type.value?.$typeName && number === no);
      return rule ? [`[${rule.name}](${packageOf(rule.file) === from ? "" : pageOf(packageOf(rule.file))}#rules)`] : [];
    });
  const given = getOption(field, fieldRules);
  const items = given.type.case === "repeated" ? given.type.value.items : undefined;
  const each = items ? named(items).map((name) => `each ${name}`) : [];
  const names = [...named(given), ...each].join(", ");
  return names === "" ? "" : `: ${names}${given.ignore === Ignore.IF_ZERO_VALUE ? " or empty" : ""}`;
}

function printRules(rules: Rules): string[] {
  const rows = rules.flatMap((rule) =>
    getOption(rule, predefined).cel.map(({ id, message }) => {
      const of = rule.extendee.name.replace("Rules", "").toLowerCase().replace("repeated", "list");
      return `| \`${rule.name}\` | ${of} | ${cell(commentOf(rule))} | ${cell(message)} | \`${id}\` |`;
    }),
  );
  if (rows.length === 0) return [];
  const said =
    "What fields hold whose type names one of them. A field that breaks it is refused with INVALID_ARGUMENT.";
  return ["## Rules", said, ["| rule | of | | description | reason |", "|---|---|---|---|---|", ...rows].join("\n")];
}

/** The extensions of `shop/type/v1/admission.proto`: they are read from the protos that are printed, not from generated code. */
interface Admission {
  readonly method: DescExtension;
  readonly service: DescExtension;
  readonly classes: DescEnum;
}

function admissionIn(registry: FileRegistry): Admission {
  const method = registry.getExtension("shop.type.v1.admission");
  const service = registry.getExtension("shop.type.v1.service_admission");
  const classes = registry.getEnum("shop.type.v1.AdmissionClass");
  if (!method || !service || !classes)
    throw new Error("shop/type/v1/admission.proto does not say how calls are admitted");
  return { method, service, classes };
}

/** Which class a call is admitted in, when it is not the one of callers. */
function admissionOf(method: DescMethod, admission: Admission): string {
  const number = getOption(method, admission.method) || getOption(method.parent, admission.service);
  const value = admission.classes.value[Number(number)];
  const name = value?.localName.toLowerCase() ?? "";
  return ["", "unspecified", "caller"].includes(name) ? "" : `Admitted as [${name}](type.md#admissionclass).`;
}

/** `shop/type/v1/rate.proto`. */
interface Rates {
  readonly option: DescExtension;
  readonly classes: DescEnum;
}

function ratesIn(registry: FileRegistry): Rates {
  const option = registry.getExtension("shop.type.v1.rate");
  const classes = registry.getEnum("shop.type.v1.RateClass");
  if (!option || !classes) throw new Error("shop/type/v1/rate.proto does not say how often may be called");
  return { option, classes };
}

/** What a call is counted as, where its side effects do not say it. */
function countedAs(method: DescMethod, { option, classes }: Rates): string {
  const number = Number(getOption(method, option));
  return number === 0 ? "" : `Counted as [${classes.value[number]?.localName.toLowerCase()}](type.md#rateclass).`;
}

/** What is read from the protos of all packages to print one. */
interface Contract {
  readonly rules: Rules;
  readonly admission: Admission;
  readonly access: Access;
  readonly rates: Rates;
  readonly personal: Personal;
}

function printService(service: DescService, { admission, access, rates }: Contract): string[] {
  const from = packageOf(service.file);
  const methods = service.methods.flatMap((method) => [
    `### ${service.name}.${method.name}`,
    `${link(method.input, from)} → ${method.methodKind === "server_streaming" ? "stream of " : ""}${link(method.output, from)}`,
    commentOf(method),
    callersOf(method, access, (role) => `[${role}](type.md#role)`),
    admissionOf(method, admission),
    countedAs(method, rates),
  ]);
  return [`## ${service.name}`, commentOf(service), `Full name: \`${service.typeName}\``, ...methods];
}

/** Beside the type: ", [personal data](type.md#personaldata)". */
function personalLink(field: DescField, personal: Personal): string {
  const words = personalWords(field, personal);
  return words === "" ? "" : `, [${words}](type.md#personaldata)`;
}

function printMessage(message: DescMessage, { rules, personal }: Contract): string[] {
  const from = packageOf(message.file);
  const rows = message.fields.map(
    (field) =>
      `| \`${field.name}\` | ${field.oneof ? `one of \`${field.oneof.name}\`: ` : ""}${typeOf(field, from)}${rulesOf(field, rules)}${personalLink(field, personal)} | ${cell(commentOf(field))} |`,
  );
  const table = rows.length > 0 ? [["| field | type | |", "|---|---|---|", ...rows].join("\n")] : ["It has no fields."];
  return [`### ${message.name}`, commentOf(message), ...table];
}

function printEnum(description: DescEnum): string[] {
  const rows = description.values.map((value) => `| \`${value.name}\` | ${value.number} | ${cell(commentOf(value))} |`);
  return [
    `### ${description.name}`,
    commentOf(description),
    ["| value | number | |", "|---|---|---|", ...rows].join("\n"),
  ];
}

/** The comment of a reason begins with its status code: "NOT_FOUND: text" or "NOT_FOUND. Metadata: …". */
function printReasons(reasons: DescEnum): string[] {
  const rows = reasons.values.slice(1).map((value) => {
    const [, code = "", text = ""] = /^([A-Z_]+)[:.]\s*(.*)$/s.exec(commentOf(value)) ?? [];
    return `| \`${value.name.slice((reasons.sharedPrefix ?? "").length).toUpperCase()}\` | ${code} | ${cell(text)} |`;
  });
  return ["## Error reasons", commentOf(reasons), ["| reason | status | |", "|---|---|---|", ...rows].join("\n")];
}

function pageOf(name: string): string {
  return `${name.split(".")[1]}.md`;
}

function printPackage(name: string, files: DescFile[], contract: Contract): string {
  const { rules } = contract;
  const services = files.flatMap((file) => file.services);
  const enums = files.flatMap((file) => file.enums);
  const reasons = enums.filter((description) => description.name.endsWith("ErrorReason"));
  const messages = files.flatMap((file) => file.messages);
  const blocks = [
    `# ${name}`,
    "Generated from the protos; edit those.",
    ...services.flatMap((service) => printService(service, contract)),
    ...reasons.flatMap(printReasons),
    ...printRules(rules.filter(({ file }) => packageOf(file) === name)),
    "## Messages",
    ...messages.flatMap((message) => printMessage(message, contract)),
    ...enums.filter((description) => !reasons.includes(description)).flatMap(printEnum),
  ];
  return `${blocks.filter((block) => block !== "").join("\n\n")}\n`;
}

function run(request: CodeGeneratorRequest) {
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: request.protoFile }));
  const ours = [...registry.files].filter((file) => isOurs(packageOf(file)));
  const rules = ours.flatMap(({ extensions }) => extensions).filter((extension) => hasOption(extension, predefined));
  const packages = Map.groupBy(ours, packageOf);
  const response = create(CodeGeneratorResponseSchema, { supportedFeatures: 1n });
  for (const [name, files] of packages) {
    const contract = {
      rules,
      admission: admissionIn(registry),
      access: accessIn(registry),
      rates: ratesIn(registry),
      personal: personalIn(registry),
    };
    const complete = files.sort((a, b) => a.name.localeCompare(b.name));
    response.file.push(
      create(CodeGeneratorResponse_FileSchema, {
        name: pageOf(name),
        content: printPackage(name, complete, contract),
      }),
    );
  }
  return response;
}

const plugin: Plugin = { name: "protoc-gen-api-docs", version: "1", run };
runNodeJs(plugin);
