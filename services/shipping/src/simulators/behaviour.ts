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
}

/**
 * What happens, by the postal code of the address. Every other postal code is packed, booked and delivered.
 *
 * | postal code | what happens | the shipment becomes |
 * |---|---|---|
 * | `SIM-UNPACKABLE` | the warehouse cannot pack it | FAILED |
 * | `SIM-REFUSE` | the carrier does not take it | FAILED |
 * | `SIM-TIMEOUT` | it is booked, but the carrier's answer is lost once | SHIPPED, after it was asked for |
 * | `SIM-ERROR` | the carrier fails twice (503), the second time after it booked | SHIPPED, after it was asked for |
 * | `SIM-SLOW` | the carrier answers after `CARRIER_SLOW_MS`; the call comes back pending | SHIPPED, later |
 * | `SIM-LOST` | the carrier loses it on its way | LOST instead of DELIVERED |
 * | `SIM-UNREPORTED` | it is delivered, but none of the carrier's reports arrives | DELIVERED, once the carrier is asked |
 * | `SIM-FORGOTTEN` | the carrier reports nothing, and knows nothing of it when it is asked | SHIPPED, until somebody finds out |
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
};

/** The behaviour for an address and a stock location; a location in `refusedLocations` is refused whatever the address. */
export function behaviourOf(
  parcel: { address: { postalCode: string }; locationId: string },
  refusedLocations: readonly string[] = [],
): Behaviour {
  if (refusedLocations.includes(parcel.locationId)) return { refusal: "LOCATION_NOT_SERVED" };
  return byPostalCode[parcel.address.postalCode.trim().toUpperCase()] ?? {};
}
