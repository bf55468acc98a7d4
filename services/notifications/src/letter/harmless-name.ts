/** Letters of any script with marks, blanks, apostrophes and hyphens; a dot ends an initial, and begins no domain. */
const pattern = /^(?:[\p{L}\p{M} '’-]|\.(?= |$)){1,80}$/u;

/**
 * How somebody is greeted; empty for a name that could be read as anything else, such as an address or a sentence with one: mails of a shop are believed.
 */
export function harmlessName(givenName: string, familyName: string): string {
  const name = `${givenName} ${familyName}`
    .normalize("NFC")
    .replace(/\p{Zs}+/gu, " ")
    .trim();
  return pattern.test(name) ? name : "";
}
