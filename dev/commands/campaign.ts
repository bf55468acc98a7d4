// `npm run campaign`: has orders come and faults happen, and shows that everything comes to its end by itself.
import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConnectError } from "@connectrpc/connect";
import { root } from "../../deploy/command/checkout.ts";
import { StackError } from "../errors.ts";
import { freePorts } from "../stack/free-ports.ts";
import { removeData } from "../stack/postgres.ts";
import { Stack, type StackOptions } from "../stack/stack.ts";
import { Screen } from "../terminal/screen.ts";
import { Wishes } from "../terminal/wishes.ts";
import { type CampaignResult, runCampaign } from "../verify/campaign.ts";
import { type CampaignOptions, help, parseCampaignOptions } from "../verify/campaign-options.ts";
import { groundFor } from "../verify/faults.ts";
import { type Absence, groundForAbsence, runOutages } from "../verify/outages.ts";
import { plantAll, plantedBugs } from "../verify/planted.ts";
import { shortened, summary } from "../verify/verdict.ts";
import { pace } from "../verify/wanted.ts";

/** What runs, and what its stack has to have for it. */
interface Work {
  readonly ground: Pick<StackOptions, "replicas" | "network" | "clocks" | "gateway" | "environment">;
  readonly run: Run;
}

type Run = (stack: Stack, context: { say: (sentence: string) => void; signal: AbortSignal }) => Promise<boolean>;

/** Runs something on a stack of its own, whose data is kept when something is wrong with it. */
async function onStack(options: CampaignOptions, screen: Screen, { ground, run }: Work): Promise<number> {
  const wishes = new Wishes();
  const dataDirectory = mkdtempSync(join(tmpdir(), "ordermesh-campaign-"));
  chmodSync(dataDirectory, 0o711);
  const starting = new AbortController();
  const giveUp = () => starting.abort();
  wishes.stop.addEventListener("abort", giveUp);
  const stack = await Stack.start({
    dataDirectory,
    ports: await freePorts(),
    environment: pace,
    signal: starting.signal,
    say: (line) => screen.say(line),
    ...ground,
    line: (component, line) => {
      if (options.verbose) screen.line(component, line);
    },
  });
  // From here on whoever stops it wants what is away brought back.
  wishes.stop.removeEventListener("abort", giveUp);
  let good: boolean | undefined;
  try {
    const broken = stack.failed.then((error) => {
      throw error;
    });
    const context = { say: (sentence: string) => screen.say(sentence), signal: wishes.stop };
    good = await Promise.race([broken, run(stack, context)]);
  } finally {
    await stack.stop();
    if (good ?? wishes.stop.aborted) removeData(dataDirectory);
    else screen.print(`Data and logs are kept: npm start -- --no-demo --data ${dataDirectory}`);
  }
  return good ? 0 : 1;
}

function campaign(options: CampaignOptions, screen: Screen): Promise<number> {
  const { seed, orders, minutes, faults, kinds, gateway } = options;
  const by = gateway === "simulated" ? "" : `, by the connector to ${gateway}`;
  screen.title(`A campaign of ${minutes} minutes: ${orders} orders, ${faults} faults, seed ${seed}${by}`);
  const run: Run = async (stack, context) => {
    const onStop = () =>
      context.say("no more orders come; those that are there end, and are judged: once more ends it at once");
    context.signal.addEventListener("abort", onStop, { once: true });
    const result = await runCampaign(stack, { seed, orders, faults, kinds, overMs: minutes * 60_000 }, context);
    report(result, orders, screen);
    screen.print(`  seed        ${seed}`);
    return result.violations.length === 0;
  };
  // Every second seed has a gateway that gives free what is voided with the last operation of an authorization.
  const partVoid = seed % 2 === 0 ? "now" : "deferred";
  // And every fourth one that captures an authorization once.
  const once = seed % 4 === 0;
  const captures = once ? "once" : "many";
  const simulators = { ...pace.simulators, SIMULATOR_PART_VOID: partVoid, SIMULATOR_CAPTURES: captures };
  const stripe = { ...pace.stripe, STRIPE_MULTICAPTURE: String(!once) };
  // Some of the orders are held up, until people decide about them.
  const environment = { ...pace, orders: { FLAGS_FILE: join(root, "dev/verify/flags.json") }, simulators, stripe };
  return onStack(options, screen, { ground: { ...groundFor(kinds), gateway, environment }, run });
}

function report(result: CampaignResult, wanted: number, screen: Screen): void {
  const { faults, workflows, states, stopped, endedAfterMs, operators, reviews, afterwards, comparisons, violations } =
    result;
  const why = stopped ? "as it was stopped" : "for which the machine was too busy";
  const late = wanted > states.length ? ` of ${wanted}, ${why}` : "";
  const done = [...faults].map(([kind, count]) => `${count} ${kind}`).join(", ");
  const count = [...faults.values()].reduce((sum, each) => sum + each, 0);
  screen.print();
  screen.print(`  faults      ${count}: ${done || "none"}; ${workflows} workflows ended in the middle`);
  screen.print(`  orders      ${states.length}${late}: ${summary(states)}`);
  screen.print(
    `  ended       ${endedAfterMs === undefined ? "NOT" : `${(endedAfterMs / 1_000).toFixed(1)} s`} after the last fault`,
  );
  screen.print(`  operators   ${operators} orders needed one`);
  screen.print(`  reviews     ${reviews} orders were held up until people had decided`);
  const changes = [...afterwards].map(([what, times]) => `${times} ${what}`).sort();
  screen.print(`  changes     ${changes.join(", ") || "none"}`);
  screen.print(`  books       compared ${comparisons} times meanwhile, and at the end`);
  screen.print(`  violations  ${violations.length}`);
  for (const violation of shortened(violations)) screen.print(`      ${violation}`);
}

function outages(options: CampaignOptions, absence: Absence, screen: Screen): Promise<number> {
  const { seed, away, gateway } = options;
  const long = absence.movedBy > 0 ? `${absence.movedBy / 3_600} h by moved clocks` : `${absence.forMs / 1_000} s`;
  screen.title(`Away for ${long}, one after the other: ${away.join(", ")}; seed ${seed}`);
  const run: Run = async (stack, context) => {
    const results = await runOutages(stack, { absence, subjects: away, seed }, context);
    screen.print();
    for (const { subject, endedAfterMs, operators, violations } of results) {
      const ended = endedAfterMs === undefined ? "NOT" : `${(endedAfterMs / 1_000).toFixed(1)} s`;
      const wrong = `${operators} operators, ${violations.length} violations`;
      screen.print(`  ${subject.padEnd(10)} all ended ${ended} after its return, ${wrong}`);
    }
    return results.every(({ violations }) => violations.length === 0);
  };
  return onStack(options, screen, { ground: { ...groundForAbsence(absence), gateway }, run });
}

/** Whether something catches each of the bugs. */
async function planted(prefix: string, screen: Screen): Promise<number> {
  const bugs = plantedBugs(prefix);
  if (bugs.length === 0) throw new StackError(`There is no planted bug whose name begins with "${prefix}".`);
  screen.title(`${bugs.length} planted bugs`);
  const wishes = new Wishes();
  const missed = await plantAll(bugs, (sentence) => screen.say(sentence), wishes.stop);
  screen.print(`  ${bugs.length - missed.length} of ${bugs.length} are caught`);
  return missed.length === 0 ? 0 : 1;
}

try {
  const options = parseCampaignOptions(process.argv.slice(2));
  const screen = new Screen(options.verbose);
  if (options.help) console.log(help);
  else if (options.planted !== undefined) process.exitCode = await planted(options.planted, screen);
  else if (options.outages !== undefined) process.exitCode = await outages(options, options.outages, screen);
  else process.exitCode = await campaign(options, screen);
} catch (error) {
  if (!(error instanceof StackError) && !(error instanceof ConnectError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
process.exit();
