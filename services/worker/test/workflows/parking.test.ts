import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "#testing/until.ts";
import { anOrder } from "../stage/harness.ts";
import { patient, Stage } from "../stage/stage.ts";
import { type Behaviour, type Call, on, type Rule } from "../world/rules.ts";

let stage: Stage;
const lost = new Set<string>();
const arrivesLater = new Set<string>();
before(async () => {
  stage = await Stage.open();
  stage.world.arrives = (orderId) => {
    if (arrivesLater.has(orderId)) return undefined;
    return lost.has(orderId) ? "LOST" : "DELIVERED";
  };
});
after(() => stage?.close());

const checkout = ["reserve", "authorize", "confirm", "CONFIRMED"];
const refuse: Behaviour = { kind: "refuse", reason: "NOT_NOW" };
const declined = (orderId: string) => on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId });
const turnedDown = (orderId: string) => on("ship", { kind: "refuse", reason: "CARRIER_REFUSED" }, { orderId });

interface ParkedCase {
  step: string;
  parkedStep: string;
  rules?: (orderId: string) => Rule[];
  isLost?: boolean;
  /** How the order ends when the step is tried again, and when it is resolved: then without the effect. */
  end: string;
  resolvedEnd?: string;
  resolved: string[];
}

const shipped = ["prepare:BER", "PREPARING", "ship:BER"];
const cases: ParkedCase[] = [
  {
    step: "prepare",
    parkedStep: "prepare:BER",
    end: "DELIVERED",
    resolved: [...checkout, "capture:BER", "commit:BER", "PREPARING", "SHIPPED", "DELIVERED"],
  },
  {
    step: "ship",
    parkedStep: "ship:BER",
    end: "DELIVERED",
    resolved: [...checkout, "prepare:BER", "PREPARING", "capture:BER", "commit:BER", "SHIPPED", "DELIVERED"],
  },
  {
    step: "capture",
    parkedStep: "capture:BER",
    end: "DELIVERED",
    resolved: [...checkout, ...shipped, "commit:BER", "SHIPPED", "DELIVERED"],
  },
  {
    step: "commit",
    parkedStep: "commit:BER",
    end: "DELIVERED",
    resolved: [...checkout, ...shipped, "capture:BER", "SHIPPED", "DELIVERED"],
  },
  {
    step: "refund",
    parkedStep: "refund:BER",
    isLost: true,
    end: "FAILED",
    resolved: [...checkout, ...shipped, "capture:BER", "commit:BER", "SHIPPED", "lose:BER", "FAILED"],
  },
  {
    step: "void",
    parkedStep: "void",
    rules: (orderId) => [declined(orderId)],
    end: "REJECTED",
    resolved: ["reserve", "release", "REJECTED"],
  },
  {
    step: "release",
    parkedStep: "release",
    rules: (orderId) => [declined(orderId)],
    end: "REJECTED",
    resolved: ["reserve", "void", "REJECTED"],
  },
  {
    step: "void",
    parkedStep: "void:BER",
    rules: (orderId) => [turnedDown(orderId)],
    end: "FAILED",
    resolved: [...checkout, "prepare:BER", "PREPARING", "release:BER", "FAILED"],
  },
  {
    step: "release",
    parkedStep: "release:BER",
    rules: (orderId) => [turnedDown(orderId)],
    end: "FAILED",
    resolved: [...checkout, "prepare:BER", "PREPARING", "void:BER", "FAILED"],
  },
];

/** Refuses a step until it is asked by another name. */
function remembers({ step, parkedStep }: ParkedCase, orderId: string, asked: string[]): Rule {
  return (call: Call) => {
    if (call.orderId !== orderId || call.step !== step) return undefined;
    asked.push(call.id);
    return call.id === `${orderId}:${parkedStep}` ? refuse : undefined;
  };
}

describe("a step that was refused although it must succeed", { concurrency: true }, () => {
  for (const parked of cases) {
    const { parkedStep } = parked;
    const begin = async (asked: string[]) => {
      const order = anOrder();
      const { orderId } = order;
      if (parked.isLost) lost.add(orderId);
      stage.place([order], [...(parked.rules?.(orderId) ?? []), remembers(parked, orderId, asked)]);
      assert.match(await stage.parked(orderId, parkedStep), /NOT_NOW/);
      await stage.rests(orderId);
      return order;
    };

    test(`${parkedStep} is asked anew when an operator has it tried again`, async () => {
      const asked: string[] = [];
      const order = await begin(asked);
      stage.decide(order.orderId, parkedStep, false);
      assert.deepEqual(await stage.ends([order]), [parked.end]);
      const first = `${order.orderId}:${parkedStep}`;
      assert.deepEqual([...new Set(asked)], [first, `${first}#1`]);
      assert.deepEqual(stage.doubles(order.orderId), []);
    });

    test(`${parkedStep} counts as done when an operator resolves it`, async () => {
      const order = await begin([]);
      stage.decide(order.orderId, parkedStep, true);
      assert.deepEqual(await stage.ends([order]), [parked.resolvedEnd ?? parked.end]);
      assert.deepEqual(stage.world.trace(order.orderId), parked.resolved);
    });
  }

  for (const reason of ["RESERVATION_NOT_FOUND", "RESERVATION_PART_NOT_FOUND", "RESERVATION_ENDED"]) {
    for (const [step, rules] of [
      ["commit", () => []],
      ["release", (orderId) => [turnedDown(orderId)]],
    ] as const satisfies [string, (orderId: string) => Rule[]][]) {
      test(`${step} of a part is not done when the inventory says ${reason}`, async () => {
        const order = anOrder();
        const { orderId } = order;
        stage.place([order], [...rules(orderId), on(step, { kind: "refuse", reason }, { orderId })]);
        assert.match(await stage.parked(orderId, `${step}:BER`), new RegExp(reason));
        await stage.rests(orderId);
        assert.equal(stage.world.order(orderId).status, "PREPARING");
      });
    }
  }

  test("cancel is resolved: the parcel counts as called off", async () => {
    const order = anOrder();
    const { orderId } = order;
    stage.world.rules.push(on("cancel", refuse, { orderId }), on("prepare", refuse, { orderId }));
    stage.place([order]);
    await stage.parked(orderId, "prepare:BER");
    await stage.rests(orderId);
    assert.equal(await stage.cancel(orderId), "accepted");
    await stage.parked(orderId, "cancel:BER");
    await stage.rests(orderId);
    stage.decide(orderId, "cancel:BER", true);
    assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
    assert.deepEqual(stage.world.trace(orderId), [...checkout, "void", "release", "CANCELLED"]);
  });

  test("is not asked again because of other news, and stays parked", async () => {
    const order = anOrder();
    const { orderId } = order;
    arrivesLater.add(orderId);
    const asked: string[] = [];
    const [captured] = cases.filter(({ step }) => step === "capture");
    assert.ok(captured);
    stage.place([order], [remembers(captured, orderId, asked)]);
    await stage.parked(orderId, "capture:BER");
    await stage.rests(orderId);
    const before = stage.rows.row(orderId).settlements.length;
    stage.world.tell(orderId, "BER", { news: "DELIVERED" });
    await stage.rests(orderId, () => stage.rows.row(orderId).settlements.length > before);
    assert.equal(asked.length, 1);
    assert.equal(stage.rows.row(orderId).parked?.step, "capture:BER");
    stage.decide(orderId, "capture:BER", false);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
  });

  test("in vain again is asked by yet another name", async () => {
    const order = anOrder();
    const { orderId } = order;
    const asked = new Set<string>();
    const rule = (call: Call): Behaviour | undefined => {
      if (call.orderId !== orderId || call.step !== "commit") return undefined;
      asked.add(call.id);
      return call.id.endsWith("#2") ? undefined : refuse;
    };
    stage.place([order], [rule]);
    for (const _ of [1, 2]) {
      await stage.parked(orderId, "commit:BER");
      await stage.rests(orderId);
      stage.decide(orderId, "commit:BER", false);
    }
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    const first = `${orderId}:commit:BER`;
    assert.deepEqual([...asked], [first, `${first}#1`, `${first}#2`]);
  });
});

test("a status that the row does not take is parked, and taken when an operator has mended it", async () => {
  const order = anOrder();
  const { orderId } = order;
  stage.place([order]);
  const move = stage.world.move.bind(stage.world);
  stage.world.move = (id, status, failure) =>
    id === orderId && status === "SHIPPED" ? { refuse: "ILLEGAL_TRANSITION" } : move(id, status, failure);
  await stage.parked(orderId, "shipped");
  await stage.rests(orderId);
  stage.world.move = move;
  stage.decide(orderId, "shipped", false);
  assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
});

/** Alone: a batch that is called invalid is taken apart, and asked again for all who are in it. */
describe("a step that is called invalid for long", () => {
  for (const [step, parkedStep, rules, end] of [
    ["capture", "capture:BER", () => [], "DELIVERED"],
    ["void", "void", (orderId) => [declined(orderId)], "REJECTED"],
  ] as const satisfies [string, string, (orderId: string) => Rule[], string][]) {
    test(`${parkedStep} waits for an operator, and is repeated as it was`, async () => {
      const order = anOrder();
      const { orderId } = order;
      const asked = new Set<string>();
      let mended = false;
      let away = true;
      const invalid = (call: Call): Behaviour | undefined => {
        if (call.orderId !== orderId || call.step !== step) return undefined;
        asked.add(call.id);
        if (away) return { kind: "unavailable" };
        return mended ? undefined : { kind: "invalid" };
      };
      stage.place([order], [...rules(orderId), invalid]);
      const waits = () => stage.rows.row(orderId).settlements.filter(({ waitsFor }) => waitsFor === "payments").length;
      await until(() => waits() >= 3, "payments is away for long", patient);
      await stage.rests(orderId);
      const absences = waits();
      away = false;
      assert.match(await stage.parked(orderId, parkedStep), /INVALID_ARGUMENT.*an entry is not valid/);
      await stage.rests(orderId);
      assert.equal(waits() - absences, 19, "a rollout may mend it, however long payments was away before");
      mended = true;
      stage.decide(orderId, parkedStep, false);
      assert.deepEqual(await stage.ends([order]), [end]);
      assert.deepEqual([...asked], [`${orderId}:${parkedStep}`], "an earlier attempt may have had its effect");
    });
  }
});
