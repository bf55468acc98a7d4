import { parseArgs } from "node:util";
import { Helm, type Place } from "./helm.ts";
import { ends, Rollout, RolloutError } from "./rollout.ts";

const help = `npm run rollout -- --context <name> [options] -- [flags of helm upgrade]

Installs or upgrades the mesh, places an order through what is new (helm test), and goes back by itself to the revision that
ran before when pods do not become ready, a migration fails, or the order is not delivered. A first installation that fails
is uninstalled. For example:

  npm run rollout -- --context staging -- -f deploy/values/staging.yaml --set global.image.digest=sha256:…

  --context <name>     the cluster, as kubectl config get-contexts calls it; never guessed
  --namespace <name>   default ordermesh
  --release <name>     default ordermesh
  --timeout <time>     how long Helm waits for each of its steps, like 90s or 10m; default 10m
  --help               this

Ends with 0 when the new revision runs and has passed its test (or its values have none, which is said); with 1 when the
cluster runs what it ran before; with 2 when somebody has to look: the last line is what to run. Ctrl-C and SIGTERM go back.
When it is killed for good before the test has ended, the new revision runs untested: helm test, and helm rollback.`;

/** What is chosen here, or would make the test one of something else. */
const reserved = [
  ...["--kube-context", "--namespace", "-n", "--timeout", "--dry-run", "--no-hooks", "--wait"],
  // The second is what Helm 4 calls the first.
  ...["--atomic", "--rollback-on-failure"],
];

const say = (line: string) => console.error(`  · ${line}`);

interface Wishes extends Place {
  readonly help: boolean;
  readonly flags: readonly string[];
}

function read(args: readonly string[]): Wishes {
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  const { values } = parseArgs({
    args: args.slice(0, end),
    options: {
      context: { type: "string", default: "" },
      namespace: { type: "string", default: "ordermesh" },
      release: { type: "string", default: "ordermesh" },
      timeout: { type: "string", default: "10m" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const flags = args.slice(end + 1);
  if (values.help) return { ...values, flags };
  if (values.context === "") throw new RolloutError("Say which cluster: --context <name>; see --help.");
  if (!/^([0-9]+[hms])+$/.test(values.timeout)) {
    throw new RolloutError(`--timeout is a time like 90s or 10m, not "${values.timeout}".`);
  }
  const taken = flags.find((flag) => reserved.includes(flag.split("=")[0] ?? ""));
  if (taken !== undefined) throw new RolloutError(`${taken} cannot be given to Helm here; see --help.`);
  return { ...values, flags };
}

/**
 * `npm run rollout -- --context <name> -- <flags of helm upgrade>`: an upgrade that goes back by itself.
 *
 * @param args as typed; `--help` says more
 * @param findHelm where Helm is; asked when there is something for it to do
 * @returns the exit code, see {@link ends}
 * @throws RolloutError, HelmError, and TypeError for an option that it does not know
 */
export async function rolloutCommand(
  args: readonly string[],
  findHelm: (say: (line: string) => void) => Promise<string>,
): Promise<number> {
  const { help: wantsHelp, flags, ...place } = read(args);
  if (wantsHelp) {
    console.log(help);
    return 0;
  }
  const rollout = new Rollout(new Helm(await findHelm(say), place, say), say);
  const interrupt = () => {
    if (rollout.interrupt()) return;
    say("interrupted; nothing was changed");
    process.exit(ends.back);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, interrupt);
  return ends[await rollout.run(flags)];
}
