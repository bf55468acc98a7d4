// `npm run bench -- rpc|stock|allocation|orders|arrivals|overload|waiting|admission|telemetry|books|bulk|payloads|screening|import|events`: each prints both sides and, as its last line,
// `ratio: <number>`.

const benches: ReadonlyMap<string, string> = new Map([
  ["rpc", "unary calls per second of the gRPC face, against plain connect-node and bare grpc-js"],
  ["stock", "reservations per second on one hot SKU, coalesced against SELECT … FOR UPDATE"],
  ["allocation", "reservations per second of articles at 1,000 locations, against 10"],
  [
    "orders",
    "orders per second from CreateOrder to confirmed, batches against batches of one, or against another commit",
  ],
  ["arrivals", "CPU per order that arrives by itself, to confirmed and to delivered, against batches of one"],
  ["overload", "orders confirmed per second at twice what the machine carries, against the most"],
  ["waiting", "CPU and memory at rest with 10,000 orders being packed for hours, against none"],
  ["admission", "orders per second of callers that wait, at one, two and five times as many as may work at once"],
  ["telemetry", "orders per second with traces, logs and scrapes on, sampled at 10 % and at 100 %, against off"],
  ["books", "time and memory to compare the books of 20,000 orders, and of five times as many"],
  ["bulk", "orders accepted per second, 1,000 in a call against one in a call"],
  ["import", "orders of another shop imported per second, against one INSERT … in a transaction for each"],
  [
    "events",
    "time to the confirmation while 5,000 events a second are told besides, against none; events told per second",
  ],
  ["payloads", "CPU per order from arrival to delivery when Temporal keeps ciphertext, against plain text"],
  ["screening", "CPU per order from arrival to delivery when every rule of fraud is asked, against none"],
]);

const [name = "--help", ...args] = process.argv.slice(2);
if (benches.has(name)) {
  const { bench }: { bench: (args: readonly string[]) => Promise<void> } = await import(`./${name}.ts`);
  try {
    await bench(args);
  } catch (error) {
    // How parseArgs, and a bench, speak of an option that they do not understand.
    if (!(error instanceof Error) || !/option|^--/.test(error.message)) throw error;
    console.error(`${error.message.replace(/\.?$/, ".")} See bench/README.md.`);
    process.exitCode = 2;
  }
} else {
  const help = [...benches].map(([bench, about]) => `  npm run bench -- ${bench.padEnd(10)} ${about}`);
  console.log(["Measures the product against the usual way to do the same:", ...help].join("\n"));
  process.exitCode = name === "--help" ? 0 : 2;
}
