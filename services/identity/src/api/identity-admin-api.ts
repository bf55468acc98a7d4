import { durationMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type CreateApiKeyRequest,
  CreateApiKeyResponseSchema,
  type EndSessionsRequest,
  EndSessionsResponseSchema,
  type GetPersonRequest,
  GetPersonResponseSchema,
  type IdentityAdminService,
  type ListApiKeysRequest,
  ListApiKeysResponseSchema,
  type ListPeopleRequest,
  ListPeopleResponseSchema,
  ReplaceSigningKeysResponseSchema,
  type ResetSecondFactorRequest,
  ResetSecondFactorResponseSchema,
  type RevokeApiKeyRequest,
  RevokeApiKeyResponseSchema,
  type SetRolesRequest,
  SetRolesResponseSchema,
} from "#gen/shop/identity/v1/identity_admin_service_pb.js";
import { isId } from "#platform/id.ts";
import type { Json, PageTokens } from "#platform/page-token.ts";
import { whole } from "#platform/whole.ts";
import type { SecondFactorRepository } from "../factor/second-factor.repository.ts";
import type { ApiKeyRepository } from "../key/api-key.repository.ts";
import type { Postman } from "../mail/mail.ts";
import type { PersonRepository } from "../person/person.repository.ts";
import { normalized } from "../person/person.ts";
import { toApiKeyProto, toPersonProto, toRoleNames } from "./identity-proto.ts";

/** What admins work with. */
export interface IdentityAdminApiOptions {
  readonly people: PersonRepository;
  readonly factors: SecondFactorRepository;
  readonly postman: Postman;
  readonly keys: ApiKeyRepository;
  readonly pageTokens: PageTokens;
  /** Signs with a new key from now on. */
  readonly replaceSigningKeys: () => Promise<string>;
}

/** How long a key lasts when its request does not say, in milliseconds. */
const defaultLifetimeMs = 90 * 24 * 3_600_000;

function placeOf(cursor: Json): string | undefined {
  return typeof cursor === "string" && isId(cursor) ? cursor : undefined;
}

/** IdentityAdminService, as its proto says. */
export class IdentityAdminApi implements ServiceImpl<typeof IdentityAdminService> {
  readonly #options: IdentityAdminApiOptions;

  constructor(options: IdentityAdminApiOptions) {
    this.#options = options;
  }

  /** Returns one person. */
  async getPerson({ personId }: GetPersonRequest) {
    return whole(GetPersonResponseSchema, { person: toPersonProto(await this.#options.people.get(personId)) });
  }

  /** Lists people, the newest first. */
  async listPeople(request: ListPeopleRequest) {
    const { people, pageTokens } = this.#options;
    const { email } = request;
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: ["ListPeople", normalized(email)],
      place: placeOf,
      read: ({ after, limit }) => people.list({ email, after, limit }),
      cursorOf: ({ personId }) => personId,
    });
    return whole(ListPeopleResponseSchema, { people: items.map(toPersonProto), nextPageToken });
  }

  /** Gives a person these roles and no others. */
  async setRoles({ personId, roles }: SetRolesRequest) {
    const person = await this.#options.people.setRoles(personId, toRoleNames(roles));
    return whole(SetRolesResponseSchema, { person: toPersonProto(person) });
  }

  /** Ends all sessions of a person. */
  async endSessions({ personId }: EndSessionsRequest) {
    return whole(EndSessionsResponseSchema, { ended: await this.#options.people.endSessions(personId) });
  }

  /** Takes the second factor of a person away. */
  async resetSecondFactor({ personId }: ResetSecondFactorRequest) {
    const { people, factors, postman } = this.#options;
    const person = await people.get(personId);
    if (await factors.reset(personId)) postman.tell("second_factor_reset", person.email);
    return whole(ResetSecondFactorResponseSchema, { person: toPersonProto({ ...person, secondFactor: false }) });
  }

  /** Makes a key for a program. */
  async createApiKey({ name, roles, lifetime }: CreateApiKeyRequest) {
    const lifetimeMs = lifetime ? durationMs(lifetime) : defaultLifetimeMs;
    const { apiKey, secret } = await this.#options.keys.create({ name, roles: toRoleNames(roles), lifetimeMs });
    return whole(CreateApiKeyResponseSchema, { apiKey: toApiKeyProto(apiKey), secret });
  }

  /** Lists keys, the newest first. */
  async listApiKeys(request: ListApiKeysRequest) {
    const { keys, pageTokens } = this.#options;
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: ["ListApiKeys"],
      place: placeOf,
      read: (page) => keys.list(page),
      cursorOf: ({ apiKeyId }) => apiKeyId,
    });
    return whole(ListApiKeysResponseSchema, { apiKeys: items.map(toApiKeyProto), nextPageToken });
  }

  /** Takes a key away. */
  async revokeApiKey({ apiKeyId }: RevokeApiKeyRequest) {
    return whole(RevokeApiKeyResponseSchema, { apiKey: toApiKeyProto(await this.#options.keys.revoke(apiKeyId)) });
  }

  /** Signs with a new key from now on. */
  async replaceSigningKeys() {
    return whole(ReplaceSigningKeysResponseSchema, { keyId: await this.#options.replaceSigningKeys() });
  }
}
