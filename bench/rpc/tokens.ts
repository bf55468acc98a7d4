import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { newId } from "#platform/id.ts";

/** Whose tokens are taken where callers show who they are, and whom they are for. */
export const issuer = "https://identity.example";
export const audience = "ordermesh";
/** So many connections call, each as somebody of its own. */
export const connectionCount = 4;

/** An issuer's public key, and a token of an agent for each connection. */
export interface Tokens {
  readonly key: JWK;
  readonly tokens: readonly string[];
}

/** Tokens as identity issues them. */
export async function makeTokens(): Promise<Tokens> {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA");
  const tokens = Array.from({ length: connectionCount }, () => {
    const token = new SignJWT({ client_id: "bench", roles: ["agent"] });
    token.setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", kid: "bench" });
    token.setIssuer(issuer).setAudience(audience).setSubject(newId()).setJti(newId());
    return token.setIssuedAt().setExpirationTime("1h").sign(privateKey);
  });
  return { key: { ...(await exportJWK(publicKey)), kid: "bench" }, tokens: await Promise.all(tokens) };
}
