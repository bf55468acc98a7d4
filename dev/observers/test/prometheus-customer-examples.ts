import type { Example } from "./prometheus-example.ts";

const shop = 'namespace="shop"';
const created = `orders_created_total{${shop}}`;
const confirmed = `orders_processing_seconds_bucket{${shop}, status="confirmed", le="5"}`;
const rejected = `orders_processing_seconds_bucket{${shop}, status="rejected", le="5"}`;
const calls = (code: string) =>
  `rpc_server_duration_seconds_count{${shop}, service="orders", rpc="shop.orders.v1.OrderService/CreateOrder", code="${code}"}`;
const authorizations = (outcome: string) =>
  `payments_operations_total{${shop}, kind="authorize", outcome="${outcome}"}`;
const slo = (name: string) => ({ slo: name });

/** What a day of steady orders looks like in series of one value a minute, and what came after it. */
const afterDay = (perMinute: number, today: string) => `0+${perMinute}x1440 ${perMinute * 1440}${today}`;

/** Examples for the alerts on what customers feel. */
export const customerExamples: readonly Example[] = [
  {
    alert: "OrderConfirmationBurnsFast",
    at: "65m",
    // Two of a hundred get no answer in time.
    fires: { [created]: "0+100x70", [confirmed]: "0+90x70", [rejected]: "0+8x70" },
    // One of a hundred in the last five minutes only; before that, all were answered. Refusals are answers.
    quiet: { [created]: "0+100x70", [confirmed]: "0+80x60 4879+79x10", [rejected]: "0+20x70" },
    labels: slo("orders_unconfirmed"),
    summary: "2% of orders get no answer within 5 s (shop)",
  },
  {
    alert: "OrderConfirmationBurnsSlowly",
    at: "3d",
    interval: "10m",
    fires: { [created]: "0+10000x440", [confirmed]: "0+9980x440" },
    quiet: { [created]: "0+10000x440", [confirmed]: "0+9995x440" },
    labels: slo("orders_unconfirmed"),
    summary: "0.2% of orders get no answer within 5 s, for a long time (shop)",
  },
  {
    alert: "AvailabilityBurnsFast",
    at: "65m",
    fires: { [calls("OK")]: "0+995x70", [calls("Unavailable")]: "0+5x70" },
    // What callers do wrong is not our fault, however much of it there is; and streams end with every process.
    quiet: {
      [calls("OK")]: "0+995x70",
      [calls("InvalidArgument")]: "0+500x70",
      [calls("Unavailable").replace("CreateOrder", "WatchOrder")]: "0+50x70",
    },
    labels: slo("orders_api_faults"),
    summary: "0.5% of calls to orders fail by our fault (shop)",
  },
  {
    alert: "AvailabilityBurnsSlowly",
    at: "3d",
    interval: "10m",
    fires: { [calls("OK")]: "0+9998x440", [calls("Internal")]: "0+2x440" },
    quiet: { [calls("OK")]: "0+99995x440", [calls("Internal")]: "0+5x440" },
    labels: slo("orders_api_faults"),
    summary: "0.02% of calls to orders fail by our fault, for a long time (shop)",
  },
  {
    alert: "OrdersUnreachable",
    // Hours later it is still so: with one process that does not answer, and one that is not there any more.
    at: "5h",
    fires: {
      [`up{${shop}, service="orders", instance="a"}`]: "1x10 0x300",
      [`up{${shop}, service="orders", instance="b"}`]: "1x10 _x300",
    },
    quiet: {
      [`up{${shop}, service="orders", instance="a"}`]: "1x10 0x300",
      [`up{${shop}, service="orders", instance="b"}`]: "1x310",
    },
    summary: "No process of orders answers in shop",
  },
  {
    alert: "OrderRateCollapsed",
    at: "1500m",
    fires: { [created]: afterDay(10, "+0x60") },
    // Few orders are nothing new at night.
    quiet: { [created]: "0+1x1440 1440+0x60" },
    summary: "0 orders in half an hour (shop), less than a tenth of yesterday's",
  },
  {
    alert: "OrderRateUnusual",
    at: "1510m",
    fires: { [created]: afterDay(10, "+40x70") },
    quiet: { [created]: afterDay(10, "+20x70") },
    summary: "1.2k orders in half an hour (shop), not what yesterday had",
  },
  {
    alert: "PaymentsMostlyRefused",
    at: "25m",
    fires: { [authorizations("refused")]: "0+8x30", [authorizations("succeeded")]: "0+2x30" },
    // One customer with a bad card who keeps trying.
    quiet: { [authorizations("refused")]: "0 0 0 0 0 1 2 3 4 5 5x30", [authorizations("succeeded")]: "0x40" },
    summary: "80% of authorizations are refused (shop)",
  },
  {
    alert: "PaymentRefusalsUnusual",
    at: "1560m",
    fires: {
      [authorizations("refused")]: "0+1x1500 1500+20x60",
      [authorizations("succeeded")]: "0+80x1560",
    },
    quiet: {
      [authorizations("refused")]: "0+10x1500 15000+20x60",
      [authorizations("succeeded")]: "0+80x1560",
    },
    summary: "20% of authorizations are refused (shop)",
  },
  {
    alert: "ManyStepsParked",
    at: "10m",
    fires: {
      [`orders_parked{${shop}, step="capture"}`]: "3x5 20x10",
      [`orders_parked{${shop}, step="void"}`]: "10x15",
    },
    quiet: { [`orders_parked{${shop}, step="capture"}`]: "3x15", [`saga_parked_steps{${shop}}`]: "3x15" },
    summary: "Steps that are parked: 30 (shop)",
  },
];
