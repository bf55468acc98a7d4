// The image's entry point: the first argument chooses the process, the others are its own.
const programs: Readonly<Record<string, string>> = {
  orders: "../../services/orders/src/main.ts",
  payments: "../../services/payments/src/main.ts",
  inventory: "../../services/inventory/src/main.ts",
  shipping: "../../services/shipping/src/main.ts",
  worker: "../../services/worker/src/main.ts",
  "promote-worker": "../../services/worker/src/promote.ts",
  "place-order": "./place-order.ts",
  load: "./load.ts",
};

const help = `Ordermesh. Say what to run:
  orders | payments | inventory | shipping | worker    the service, until SIGTERM
  <service> migrate up                                 its migrations, once (not for the worker)
  promote-worker                                       has new sagas begin with the version of TEMPORAL_BUILD_ID
  place-order --orders <host:port> --inventory <host:port>
                                                       one order, until it is delivered
  load --orders <host:port> --inventory <host:port> --count <n> --rate <n>
                                                       many orders at a steady rate, and what became of them
`;

const [name = "--help"] = process.argv.splice(2, 1);
const program = programs[name];
if (program !== undefined) {
  await import(program);
} else if (name === "--help") {
  process.stdout.write(help);
} else {
  process.stderr.write(`There is no "${name}" in this image.\n${help}`);
  process.exitCode = 2;
}
