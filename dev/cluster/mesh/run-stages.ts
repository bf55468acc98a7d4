import { LeftOut } from "../errors.ts";
import type { Mesh, Stage } from "./mesh.ts";

/** What is to be shown, in this order. */
export interface Showing {
  readonly stages: readonly Stage[];
  /** Those that take away what could be looked at. */
  readonly removals: readonly Stage[];
  /** The stages were asked for by number: one that cannot be shown here has failed. */
  readonly byNumber: boolean;
  readonly say: (line: string) => void;
}

/** Runs every stage that makes sense after what failed before it. @returns whether all went well */
export async function runStages(mesh: Mesh, { stages, removals, byNumber, say }: Showing): Promise<boolean> {
  const counts = { "✓": 0, "✗": 0, "–": 0 };
  for (const [index, stage] of stages.entries()) {
    // What failed is left to be looked at.
    if (counts["✗"] > 0 && removals.includes(stage)) break;
    const start = performance.now();
    const { mark, seen } = await show(mesh, stage, byNumber);
    counts[mark] += 1;
    const seconds = ((performance.now() - start) / 1_000).toFixed(1);
    say(`${mark} ${index + 1}/${stages.length} ${stage.name} (${seconds} s)\n    ${seen}`);
    // Nothing works without the first.
    if (mark === "✗" && index === 0) break;
  }
  const { "✓": shown, "✗": failed, "–": leftOut } = counts;
  say(`${shown} of ${stages.length} stages shown, ${failed} failed, ${leftOut} left out`);
  return failed === 0;
}

async function show(mesh: Mesh, { run }: Stage, byNumber: boolean) {
  try {
    return { mark: "✓", seen: await run(mesh) } as const;
  } catch (error) {
    const { message } = error as Error;
    if (!(error instanceof LeftOut)) return { mark: "✗", seen: message } as const;
    return { mark: byNumber ? "✗" : "–", seen: `left out: ${message}` } as const;
  }
}
