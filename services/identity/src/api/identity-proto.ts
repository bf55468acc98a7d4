import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type ApiKey as ApiKeyProto, ApiKeySchema } from "#gen/shop/identity/v1/api_key_pb.js";
import { type Tokens, TokensSchema } from "#gen/shop/identity/v1/identity_service_pb.js";
import { type Person as PersonProto, PersonSchema } from "#gen/shop/identity/v1/person_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { rolesOf } from "#platform/authorization/token-verifier.ts";
import { whole } from "#platform/whole.ts";
import type { ApiKey } from "../key/api-key.ts";
import type { Person } from "../person/person.ts";
import type { AccessToken } from "../session/access-tokens.ts";
import type { Session } from "../session/session.repository.ts";

/** Roles by the names that are kept, each once. */
export function toRoleNames(roles: readonly Role[]): string[] {
  return [...new Set(roles)].map((role) => Role[role].toLowerCase());
}

/** A person as admins see it. */
export function toPersonProto({ personId, email, roles, createTime, updateTime, secondFactor }: Person): PersonProto {
  return whole(PersonSchema, {
    personId,
    email,
    roles: [...rolesOf(roles)],
    createTime: timestampFromDate(createTime),
    updateTime: timestampFromDate(updateTime),
    secondFactor,
  });
}

/** A key as admins see it. */
export function toApiKeyProto(key: ApiKey): ApiKeyProto {
  return whole(ApiKeySchema, {
    apiKeyId: key.apiKeyId,
    name: key.name,
    roles: [...rolesOf(key.roles)],
    createTime: timestampFromDate(key.createTime),
    expireTime: timestampFromDate(key.expireTime),
    lastUseTime: key.lastUseTime ? timestampFromDate(key.lastUseTime) : undefined,
    revokeTime: key.revokeTime ? timestampFromDate(key.revokeTime) : undefined,
  });
}

/** What a session is carried on with. */
export function toTokens(access: AccessToken, { refreshToken, refreshExpireTime }: Session): Tokens {
  return whole(TokensSchema, {
    accessToken: access.text,
    accessExpireTime: timestampFromDate(access.expireTime),
    refreshToken,
    refreshExpireTime: timestampFromDate(refreshExpireTime),
  });
}
