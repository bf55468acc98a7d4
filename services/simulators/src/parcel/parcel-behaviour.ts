/** What decides how a parcel is treated. */
export interface Treated {
  /** What it is told by. */
  readonly key: string;
  readonly locationId: string;
  readonly postalCode: string;
}

/** How the simulated outside world treats one parcel. */
export interface Behaviour {
  /** The warehouse cannot pack it; the code that it gives. */
  readonly unpackable?: string;
  /** The carrier refuses it; the code that it gives. */
  readonly refusal?: string;
  /** The first answer to the booking never arrives, though the parcel is booked. */
  readonly losesAnswer?: boolean;
  /** The first two bookings fail with a 503: before the first nothing is booked, after the second it is. */
  readonly fails?: boolean;
  /** The booking is answered late. */
  readonly slow?: boolean;
  /** The parcel is lost on its way. */
  readonly lost?: boolean;
  /** None of the carrier's reports on it ever arrives. */
  readonly unreported?: boolean;
  /** Besides, the carrier does not know it any more when it is asked. */
  readonly forgotten?: boolean;
  /** It is on its way for longer. */
  readonly far?: boolean;
  /** What it does when it is asked to turn the parcel back. By default it brings it back. */
  readonly turnBack?: TurnBackBehaviour;
  /** What it does when it is asked for the label of a return. By default it makes one. */
  readonly label?: "refuse" | "slow" | "timeout";
}

/**
 * What the simulated carrier does with a parcel that is to be turned back: it refuses, it answers late, it does it and its first answer never
 * arrives, it never answers, it agrees and delivers the parcel nevertheless, or it agrees and loses it.
 */
export type TurnBackBehaviour = "refuse" | "slow" | "timeout" | "silent" | "deliver" | "lose";

/**
 * What happens, by the postal code of the address. Every other postal code is packed, booked and delivered.
 *
 * | postal code | what happens | the shipment becomes |
 * |---|---|---|
 * | `SIM-UNPACKABLE` | the warehouse cannot pack it | FAILED |
 * | `SIM-REFUSE` | the carrier does not take it | FAILED |
 * | `SIM-TIMEOUT` | it is booked, but the carrier's answer is lost once | SHIPPED, after it was asked for |
 * | `SIM-ERROR` | the carrier fails twice (503), the second time after it booked | SHIPPED, after it was asked for |
 * | `SIM-SLOW` | the carrier decides after `CARRIER_SLOW_MS`; the call comes back pending | SHIPPED, later |
 * | `SIM-LOST` | the carrier loses it on its way | LOST instead of DELIVERED |
 * | `SIM-UNREPORTED` | it is delivered, but none of the carrier's reports arrives | DELIVERED, once the carrier is asked |
 * | `SIM-FORGOTTEN` | the carrier reports nothing, and knows nothing of it when it is asked | SHIPPED, until somebody finds out |
 * | `SIM-FAR` | it is on its way for ten times as long | DELIVERED |
 * | `SIM-BACK-REFUSE` | the carrier does not turn it back | DELIVERED, also when its order is cancelled on the way |
 * | `SIM-BACK-SLOW` | it turns it back, and says so after `CARRIER_SLOW_MS` | RETURNED, when its order is cancelled on the way |
 * | `SIM-BACK-TIMEOUT` | it turns it back, but its answer is lost once | RETURNED, when its order is cancelled on the way |
 * | `SIM-BACK-SILENT` | it never answers whether it turns it back, and does not | DELIVERED, also when its order is cancelled on the way |
 * | `SIM-BACK-DELIVER` | it says that it turns it back, and delivers it | DELIVERED, also when its order is cancelled on the way |
 * | `SIM-BACK-LOSE` | it turns it back, and loses it on the way | LOST, when its order is cancelled on the way |
 * | `SIM-LABEL-REFUSE` | the carrier makes no label for a return of it | DELIVERED |
 * | `SIM-LABEL-SLOW` | it makes one, and says so after `CARRIER_SLOW_MS` | DELIVERED |
 * | `SIM-LABEL-TIMEOUT` | it makes one, but its answer is lost once | DELIVERED |
 */
const byPostalCode: Readonly<Record<string, Behaviour>> = {
  "SIM-UNPACKABLE": { unpackable: "TOO_LARGE" },
  "SIM-REFUSE": { refusal: "ADDRESS_NOT_SERVED" },
  "SIM-TIMEOUT": { losesAnswer: true },
  "SIM-ERROR": { fails: true },
  "SIM-SLOW": { slow: true },
  "SIM-LOST": { lost: true },
  "SIM-UNREPORTED": { unreported: true },
  "SIM-FORGOTTEN": { unreported: true, forgotten: true },
  "SIM-FAR": { far: true },
  "SIM-BACK-REFUSE": { turnBack: "refuse" },
  "SIM-BACK-SLOW": { turnBack: "slow" },
  "SIM-BACK-TIMEOUT": { turnBack: "timeout" },
  "SIM-BACK-SILENT": { turnBack: "silent" },
  "SIM-BACK-DELIVER": { turnBack: "deliver" },
  "SIM-BACK-LOSE": { turnBack: "lose" },
  "SIM-LABEL-REFUSE": { label: "refuse" },
  "SIM-LABEL-SLOW": { label: "slow" },
  "SIM-LABEL-TIMEOUT": { label: "timeout" },
};

/** The behaviour for an address and a stock location; a location in `refusedLocations` is refused whatever the address. */
export function behaviourOf(
  { locationId, postalCode }: Omit<Treated, "key">,
  refusedLocations: readonly string[] = [],
): Behaviour {
  if (refusedLocations.includes(locationId)) return { refusal: "LOCATION_NOT_SERVED" };
  return byPostalCode[postalCode.trim().toUpperCase()] ?? {};
}
