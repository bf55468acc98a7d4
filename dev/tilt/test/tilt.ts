import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse, parseAllDocuments } from "yaml";
import { render, valuesOf } from "../../../charts/test/charts.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { tool } from "../../tools/tool.ts";

/** One call of a function of Tilt. */
export interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
}

/** Tilt's functions whose calls are noted; those that give something back give the call itself. */
const noted = [
  "version_settings",
  "update_settings",
  "allow_k8s_contexts",
  "docker_build",
  "k8s_yaml",
  "k8s_resource",
  "local_resource",
  "watch_file",
  "port_forward",
  "link",
  "sync",
  "fall_back_on",
  "helm",
];

/** The files that the Tiltfile reads, which Starlark itself cannot. */
const files = ["deploy/Dockerfile", "deploy/observability/elk/filebeat/inputs.yml", "services/services.json"];

function stubs(context: string, texts: Readonly<Record<string, string>>, rendered: unknown): string {
  const notes = noted.map((name) => `def ${name}(*args, **kwargs):\n    return note("${name}", args, kwargs)\n`);
  return `
calls = []
def note(name, args, kwargs):
    call = {"name": name, "args": list(args), "kwargs": kwargs}
    calls.append(call)
    return call
${notes.join("\n")}
texts = json.decode(${JSON.stringify(JSON.stringify(texts))})
rendered_by_helm = json.decode(${JSON.stringify(JSON.stringify(rendered))})
def k8s_context():
    return ${JSON.stringify(context)}
def read_file(path):
    return texts[path]
def as_float(value):
    return float(value) if type(value) == "int" else value
# Tilt's own gives floats, and what an object holds in no order.
def read_json(path):
    decoded = json.decode(texts[path])
    return {
        name: {key: as_float(value) for key, value in decoded[name].items()}
        for name in reversed(decoded.keys())
    }
def decode_yaml_stream(text):
    return rendered_by_helm
def encode_yaml(value):
    return value
def encode_yaml_stream(values):
    return values
TRIGGER_MODE_MANUAL = "manual"
`;
}

/**
 * Executes the Tiltfile with Starlark's own interpreter, against stand-ins for Tilt's functions and with what Helm makes
 * of the charts.
 *
 * @returns every call, in order
 * @throws Error with what the Tiltfile said when it refused
 */
export async function executeTiltfile(context: string): Promise<Call[]> {
  const contents = await Promise.all(files.map((file) => readFile(join(root, file), "utf8")));
  const texts = Object.fromEntries(files.map((file, index) => [file, contents[index] ?? ""]));
  const rendered = await render("ordermesh", "-f", valuesOf("local"));
  const folder = await mkdtemp(join(tmpdir(), "ordermesh-tilt-"));
  try {
    const script = join(folder, "Tiltfile.star");
    const tiltfile = await readFile(join(root, "Tiltfile"), "utf8");
    await writeFile(script, `${stubs(context, texts, rendered)}\n${tiltfile}\nprint("calls:" + json.encode(calls))\n`);
    const options = { timeout: 60_000, maxBuffer: 16 * 1024 * 1024 };
    // What a script prints is on standard error; when it is refused, that is in the message.
    const { stderr } = await promisify(execFile)(await tool("starlark"), ["-globalreassign", script], options);
    return JSON.parse(stderr.slice(stderr.indexOf("calls:") + "calls:".length)) as Call[];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Resources in a file of the repository. */
export async function resourcesOf(path: string): Promise<{ kind: string; metadata: { name: string } }[]> {
  const text = await readFile(join(root, path), "utf8");
  return parseAllDocuments(text).map((document) => parse(String(document)));
}
