import type { Language } from "../notification/notification.ts";

/** Where German is what most people are written to in. */
const german = new Set(["AT", "CH", "DE", "LI"]);

/** In which language somebody is told, and how amounts and days are written there. */
export interface Spoken {
  readonly language: Language;
  /** `de-CH`. */
  readonly locale: string;
}

/** By what the customer wants, else by the country that the order goes to; empty when it is not known. */
export function languageOf(wanted: Language | "", country: string): Spoken {
  const language = wanted || (german.has(country) ? "de" : "en");
  return { language, locale: /^[A-Z]{2}$/.test(country) ? `${language}-${country}` : language };
}
