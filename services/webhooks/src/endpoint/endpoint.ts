/** Whether an endpoint is told. */
export type EndpointStatus = "unverified" | "enabled" | "disabled";

/** Why one is not told: it said that it is gone, took nothing for long, or is elsewhere now and has not proved that. */
export type DisableReason = "" | "gone" | "failing" | "moved";

/** What an endpoint is told of. */
export interface Subscription {
  /** Types of events, or the beginning of some with `.*` behind it. */
  readonly eventTypes: readonly string[];
  /** Whether that is of customers and persons, too. */
  readonly personal: boolean;
}

/** An endpoint as it is kept. */
export interface Endpoint extends Subscription {
  readonly endpointId: string;
  readonly name: string;
  readonly url: string;
  readonly status: EndpointStatus;
  readonly disableReason: DisableReason;
  readonly pendingDeliveries: number;
  readonly pauseTime: Date | null;
  readonly successTime: Date | null;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** Types whose subject is somebody, by how they begin: their ids are in no other event. */
const personalTypes = ["shop.orders.customer.", "shop.identity.person."];

/** Whether an event says something about a customer or a person. */
export function isPersonal(type: string): boolean {
  return personalTypes.some((beginning) => type.startsWith(beginning));
}

/** Whether an event of this type is told. */
export function wants({ eventTypes, personal }: Subscription, type: string): boolean {
  if (isPersonal(type) && !personal) return false;
  return eventTypes.some((wanted) => (wanted.endsWith(".*") ? type.startsWith(wanted.slice(0, -1)) : type === wanted));
}

/** Whether whoever has the URL has proved that it wants to be told there. */
export function isProven({ status, disableReason }: Pick<Endpoint, "status" | "disableReason">): boolean {
  return status === "enabled" || (status === "disabled" && disableReason !== "moved");
}
