import { requestContext } from "#platform/context.ts";

/** The service whose calls are the saga's. */
const saga = "worker";

/** Something that is asked for with a fencing token: a number that grows with each of those who ask about the same one after the other. */
export interface Fenced {
  /** 0: it has none. */
  readonly fence: number;
}

/**
 * The fence of a request, when the saga says it; 0 for everybody else. Were a person's looked at, one that is too high would keep the saga from its
 * order for good.
 */
export function fenceOf({ fence }: Fenced): number {
  const { caller } = requestContext();
  return caller === undefined || caller.service === saga ? fence : 0;
}

/** Whether somebody later has asked: then what this one asks comes too late. @param highest the highest fence that was seen */
export function isOver({ fence }: Fenced, highest: number): boolean {
  return fence > 0 && fence < highest;
}

/** What errors about it tell in their metadata. */
export function fenceFacts({ fence }: Fenced, highest: number): { fence: string; highest: string } {
  return { fence: String(fence), highest: String(highest) };
}
