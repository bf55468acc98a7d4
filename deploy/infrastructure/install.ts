// `npm run infrastructure -- --context <name>`: installs what the mesh needs, step by step; may be run again at any time.
import { spawn } from "node:child_process";
import { parseArgs } from "node:util";
import { root } from "../command/checkout.ts";
import { type Command, commandsOf } from "./commands.ts";
import { type Secret, wantedSecrets } from "./secrets.ts";
import { type CopyStep, type Step, steps } from "./steps.ts";

const help = `npm run infrastructure -- --context <name> [options]

Installs what Ordermesh needs into a cluster, in this order:
  ${steps.map(({ name }) => name).join(", ")}

  --context <name>   the cluster, as kubectl config get-contexts calls it; never guessed
  --only <a,b>       these steps only
  --from <a>         this step and those after it
  --dry-run          says what would be run, and runs nothing
  --help             this`;

/** How long one command may take; the longest wait for a database to come up. */
const commandTimeoutMs = 20 * 60_000;

interface Result {
  readonly code: number;
  readonly output: string;
}

function run([program, ...args]: Command, options: { input?: string; quiet?: boolean } = {}): Promise<Result> {
  const child = spawn(program, args, { cwd: root, stdio: ["pipe", "pipe", "inherit"], timeout: commandTimeoutMs });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk;
    if (!options.quiet) process.stdout.write(chunk);
  });
  child.stdin.end(options.input ?? "");
  return new Promise((resolve, reject) => {
    child.once("error", () => reject(new Error(`${program} is not on PATH`)));
    child.once("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

async function must(command: Command, options?: { input?: string; quiet?: boolean }): Promise<string> {
  const { code, output } = await run(command, options);
  if (code !== 0) throw new Error(`${command.slice(0, 6).join(" ")} … ended with code ${code}`);
  return output;
}

async function existing(context: string, namespace: string, name: string): Promise<Secret | undefined> {
  const place = ["--context", context, "--namespace", namespace];
  const get = ["get", "secret", name, "--ignore-not-found", "--output", "json"];
  const text = await must(["kubectl", ...place, ...get], { quiet: true });
  if (text.trim() === "") return undefined;
  const { type, data } = JSON.parse(text) as { type: Secret["type"]; data: Record<string, string> };
  const entries = Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]);
  return {
    apiVersion: "v1",
    kind: "Secret",
    type,
    metadata: { name, namespace },
    stringData: Object.fromEntries(entries),
  };
}

async function apply(context: string, secret: Secret): Promise<void> {
  const args = ["--context", context, "apply", "--server-side", "--filename", "-"];
  await must(["kubectl", ...args], { input: JSON.stringify(secret) });
}

async function makeSecrets(context: string): Promise<void> {
  for (const { secret, alsoIn } of wantedSecrets()) {
    const { name, namespace } = secret.metadata;
    const present = await existing(context, namespace, name);
    if (!present) await apply(context, secret);
    if (alsoIn) await apply(context, { ...(present ?? secret), metadata: { name, namespace: alsoIn } });
  }
}

async function copySecret(context: string, { secret: name, from, to, keys }: CopyStep): Promise<void> {
  const source = await existing(context, from, name);
  if (!source) throw new Error(`there is no secret ${name} in ${from}`);
  const stringData = Object.fromEntries(keys.map((key) => [key, source.stringData[key] ?? ""]));
  await apply(context, { ...source, type: "Opaque", metadata: { name, namespace: to }, stringData });
}

function describe(step: Step, context: string): string[] {
  if (step.kind === "secrets") {
    return wantedSecrets().map(({ secret: { metadata }, alsoIn }) => {
      const also = alsoIn ? `, and the same in ${alsoIn}` : "";
      return `  make secret ${metadata.name} in ${metadata.namespace} unless it is there${also}`;
    });
  }
  if (step.kind === "copy") return [`  copy ${step.keys} of secret ${step.secret} from ${step.from} to ${step.to}`];
  return commandsOf(step, context).map((command) => `  ${command.join(" ")}`);
}

async function install(step: Step, context: string): Promise<void> {
  if (step.kind === "secrets") await makeSecrets(context);
  if (step.kind === "copy") await copySecret(context, step);
  for (const command of commandsOf(step, context)) await must(command);
}

/** @throws Error that names a step that does not exist */
function chosen(only: string | undefined, from: string | undefined): readonly Step[] {
  const names = [...(only?.split(",") ?? []), ...(from ? [from] : [])];
  const unknown = names.find((name) => !steps.some((step) => step.name === name));
  if (unknown !== undefined)
    throw new Error(`there is no step ${unknown}; there are ${steps.map(({ name }) => name).join(", ")}`);
  const start = from ? steps.findIndex(({ name }) => name === from) : 0;
  return steps.slice(start).filter(({ name }) => only === undefined || only.split(",").includes(name));
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({ options: { context: text, only: text, from: text, "dry-run": flag, help: flag } });
  if (values.help) return console.log(help);
  if (!values.context) throw new Error(`say which cluster: --context <name>\n\n${help}`);
  for (const step of chosen(values.only, values.from)) {
    console.log(`${step.name}:`);
    if (values["dry-run"]) console.log(describe(step, values.context).join("\n"));
    else await install(step, values.context);
  }
}

main().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  // How parseArgs speaks of an option that it does not know.
  console.error(error instanceof TypeError ? `${message.replace(/\.?$/, ".")} Try --help.` : message);
  process.exitCode = 1;
});
