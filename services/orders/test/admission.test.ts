import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PlatformError } from "#platform/errors.ts";
import { Admission } from "../src/episode/admission.ts";

const options = { confirmWithinMs: 5_000, underWay: 256 };
/** How long it takes to make an order durable, and to look, in a shop that has much to do; milliseconds. */
const insertMs = 300;
const lookMs = 200;

/** A shop that confirms so many orders a second, one after the other, whose admission looks once a second. */
class Shop {
  readonly #admission = new Admission({ ...options, now: () => this.now });
  readonly #waiting: number[] = [];
  readonly #gone: number[] = [];
  /** What happens later: when, and what. */
  readonly #later: { readonly at: number; readonly happens: () => void }[] = [];
  #credit = 0;
  now = 0;
  refused = 0;
  /** How long each confirmed order took, in milliseconds. */
  readonly took: number[] = [];

  /** So many orders come in each second, and so many can be confirmed. */
  async run(
    seconds: number,
    { coming, confirmed }: { readonly coming: number; readonly confirmed: number },
  ): Promise<void> {
    for (const end = this.now + seconds * 1_000; this.now < end; this.now += 10) {
      for (const { happens } of this.#due()) happens();
      if (this.now % 1_000 === 0) void this.#look();
      for (let order = 0; order < coming / 100; order += 1) void this.#place();
      this.#credit = Math.min(this.#credit + confirmed / 100, this.#waiting.length);
      for (; this.#credit >= 1; this.#credit -= 1) this.#confirm();
      // What was awaited goes on.
      await new Promise(setImmediate);
    }
  }

  /** So many orders come at once. */
  burst(count: number): void {
    for (let order = 0; order < count; order += 1) void this.#place();
  }

  #due(): { readonly happens: () => void }[] {
    const first = this.#later.filter(({ at }) => at <= this.now);
    for (const each of first) this.#later.splice(this.#later.indexOf(each), 1);
    return first;
  }

  #after(ms: number): Promise<void> {
    return new Promise((resolve) => this.#later.push({ at: this.now + ms, happens: resolve }));
  }

  async #place(): Promise<void> {
    const created = this.now;
    try {
      await this.#admission.enter(async () => {
        await this.#after(insertMs);
        this.#waiting.push(created);
      });
    } catch (error) {
      assert.ok(error instanceof PlatformError);
      this.refused += 1;
    }
  }

  #confirm(): void {
    const created = this.#waiting.shift();
    if (created === undefined) return;
    this.#gone.push(created);
    this.took.push(this.now - created);
  }

  #look(): Promise<void> {
    return this.#admission.look(this.now, async (since) => {
      const [first = this.now] = this.#waiting;
      const line = {
        atMs: this.now,
        waiting: this.#waiting.filter((created) => created >= since).length,
        gone: this.#gone.filter((created) => created >= since).length,
        oldestMs: this.now - first,
      };
      await this.#after(lookMs);
      return line;
    });
  }
}

describe("admission", () => {
  it("refuses nobody while what comes is confirmed", async () => {
    const shop = new Shop();
    await shop.run(30, { coming: 200, confirmed: 250 });
    assert.equal(shop.refused, 0);
  });

  for (const times of [2, 5]) {
    it(`confirms as much as it can at ${times} times that, and refuses the rest`, async () => {
      const shop = new Shop();
      await shop.run(30, { coming: 200 * times, confirmed: 200 });
      assert.ok(shop.took.length > 0.98 * 30 * 200, `${shop.took.length} confirmed`);
      assert.ok(shop.refused > (times - 1.4) * 30 * 200, `${shop.refused} refused`);
      const early = Math.max(...shop.took.splice(0, 10 * 200));
      assert.ok(early <= 1.5 * options.confirmWithinMs, `${early} ms, before it was known how much is confirmed`);
      const longest = Math.max(...shop.took);
      assert.ok(longest <= options.confirmWithinMs, `${longest} ms`);
    });
  }

  it("takes a burst after a silence", async () => {
    const shop = new Shop();
    await shop.run(10, { coming: 0, confirmed: 200 });
    shop.burst(500);
    await shop.run(5, { coming: 0, confirmed: 200 });
    assert.equal(shop.took.length, 500);
  });

  it("refuses when nothing is confirmed any more, and takes orders again when it is", async () => {
    const shop = new Shop();
    await shop.run(10, { coming: 200, confirmed: 200 });
    await shop.run(20, { coming: 200, confirmed: 0 });
    assert.ok(shop.refused > 14 * 200, `${shop.refused} refused`);
    await shop.run(6, { coming: 0, confirmed: 200 });
    const { refused } = shop;
    await shop.run(10, { coming: 200, confirmed: 200 });
    assert.equal(shop.refused, refused);
  });

  it("takes what can be under way at once however slow it is", async () => {
    const shop = new Shop();
    shop.burst(options.underWay);
    await shop.run(10, { coming: 0, confirmed: 0 });
    assert.equal(shop.refused, 0);
  });

  it("refuses while the first in line waits for too long", async () => {
    const admission = new Admission(options);
    admission.observed(2_501);
    const message = "more orders wait than can be confirmed in time";
    await assert.rejects(
      admission.enter(async () => "done"),
      { message },
    );
    admission.observed(2_499);
    assert.equal(await admission.enter(async () => "done"), "done");
  });
});
