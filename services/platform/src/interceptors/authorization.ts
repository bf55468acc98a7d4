import type { DescField, DescMethod, DescService } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { type Access, Role } from "#gen/shop/type/v1/access_pb.js";
import { accessOf } from "#platform/authorization/access-rule.ts";
import { certificateRefused, credentialMissing, notPermitted, tokenOfAnother } from "#platform/authorization/errors.ts";
import { type Caller, type Credentials, serviceCaller } from "#platform/caller.ts";
import { type RequestContext, requestContext, runInContext, withContext } from "#platform/context.ts";
import { type DomainError, toConnectError } from "#platform/errors.ts";
import { isId } from "#platform/id.ts";
import { type CallRequest, type CallResponse, followStream } from "./compose.ts";
import { peekHeader, provedCaller, wayInOf } from "./known-call.ts";
import type { Limits } from "./limits.ts";

/** What a decision is made with. */
export interface AuthorizationOptions {
  readonly services: readonly DescService[];
  readonly credentials: Credentials;
  /** Whether people are not asked: only calls that are for services alone need a proof then. */
  readonly onlyServices?: boolean;
  /** Keeps callers from guessing; without it they may. */
  readonly limits?: Pick<Limits, "admitGuess" | "countGuess"> | undefined;
  /** Told the reason of each refusal, and what was wrong with a certificate. */
  readonly onRefused: (reason: string, problem?: string) => void;
}

/** A rule of the contract, read once. */
interface Rule {
  readonly access: Access;
  /** The field that names the owner; undefined where there is none, or where rows are looked at. */
  readonly ownerField: DescField | undefined;
}

/** RFC 9110, section 11.1: the scheme in any letters, one blank, and RFC 6750's alphabet. */
const bearer = /^bearer +([\w.~+/-]+=*)$/i;

function ruleOf(method: DescMethod): [string, Rule] | [] {
  const access = accessOf(method);
  if (!access) return [];
  const { of } = access.person ?? access.own ?? {};
  const name = of?.case === "field" ? of.value : undefined;
  return [nameOf(method), { access, ownerField: method.input.fields.find((field) => field.name === name) }];
}

function nameOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

function credentialOf(request: CallRequest): string {
  const given = peekHeader(request, "authorization");
  const [, credential] = given?.match(bearer) ?? [];
  if (credential === undefined) throw credentialMissing();
  return credential;
}

/** Who calls: by a certificate, by a token, or a service by its certificate for whoever its token names. */
interface Proved {
  /** Whose rights count first; the service where there are both. */
  readonly calls: Caller;
  /** Whose rights count besides; undefined where there is one proof, or both are of one service. */
  readonly for?: Caller;
}

/** Whose credential it is; what was made up is counted. */
async function verify(credential: string, request: CallRequest, options: AuthorizationOptions): Promise<Caller> {
  const { credentials, limits } = options;
  if (!credentials.isKnown?.(credential)) limits?.admitGuess(request);
  try {
    return await credentials.verify(credential);
  } catch (error) {
    if (isGuess(error)) limits?.countGuess(request);
    throw error;
  }
}

/** What the caller is known by: the certificate of its connection, its credential, or both. Nothing is waited for that is known. */
function proofOf(request: CallRequest, options: AuthorizationOptions): Proved | Promise<Proved> {
  const peer = wayInOf(request)?.certified;
  const service = peer?.service;
  const certified: Caller | undefined = service === undefined ? undefined : serviceCaller(service);
  if (peer && peekHeader(request, "authorization") === undefined) {
    if (certified) return { calls: certified };
    throw certificateRefused(peer.problem ?? "");
  }
  const credential = credentialOf(request);
  const known = options.credentials.known?.(credential);
  if (known) return together(certified, known);
  return verify(credential, request, options).then((shown) => together(certified, shown));
}

/** @throws CREDENTIAL_REFUSED for a service's token at another's certificate */
function together(certified: Caller | undefined, shown: Caller): Proved {
  if (!certified || shown.service === certified.service) return { calls: shown };
  // Whoever took a service's token has not its certificate.
  if (shown.service !== undefined) throw tokenOfAnother(shown.subject, certified.subject);
  return { calls: certified, for: shown };
}

/** Whether a call is for services of ours, and for nobody else. */
function isForServicesAlone({ services, roles, own, person }: Access): boolean {
  return services.length > 0 && roles.length === 0 && own === undefined && person === undefined;
}

/** Whether a caller may call about whatever the request names. */
function isEntitled({ access }: Rule, caller: Caller): boolean {
  if (caller.service !== undefined) return access.services.includes(caller.service);
  if (access.people && !caller.person) return false;
  return access.roles.some((role) => caller.roles.has(role));
}

/** Whether the request is about what is the caller's own; where rows tell, the query will see to it. */
function isOwn({ access, ownerField }: Rule, caller: Caller, request: CallRequest): boolean {
  const own = access.person ?? (caller.roles.has(Role.CUSTOMER) ? access.own : undefined);
  // A program's key, or somebody whom another issuer calls by a name of its own, is no customer of ours.
  if (!own || caller.service !== undefined || !isId(caller.subject)) return false;
  if (!ownerField) return own.of.case === "rows";
  return !request.stream && Reflect.get(request.message, ownerField.localName) === caller.subject;
}

/** Whether a credential was made up; one that has expired was not. */
function isGuess(error: unknown): boolean {
  const { reasonName, metadata } = error as Partial<DomainError>;
  return reasonName === "CREDENTIAL_REFUSED" && metadata?.cause === "invalid";
}

/** How RFC 6750 has a refusal said to a client that speaks HTTP. */
function challenge(error: DomainError): string {
  return error.reasonName === "CREDENTIAL_MISSING" ? "Bearer" : 'Bearer error="invalid_token"';
}

/** What is known of a call from then on. @throws NOT_PERMITTED */
function permit(request: CallRequest, rule: Rule | undefined, { calls, for: other }: Proved): RequestContext {
  const actor = calls.subject;
  const known = { actor, ...(other && { onBehalfOf: other.subject }) };
  for (const caller of rule ? [calls, ...(other ? [other] : [])] : []) {
    if (rule && isEntitled(rule, caller)) return { ...known, caller, owner: undefined };
    if (rule && isOwn(rule, caller, request)) return { ...known, caller, owner: caller.subject };
  }
  request.contextValues.set(provedCaller, known);
  throw notPermitted(nameOf(request.method));
}

/**
 * Decides by the contract who may call: what it does not say is refused. What follows knows the caller from its context, as
 * `caller`; where it may see its own rows only, also as `owner`.
 */
export function authorizationInterceptor(options: AuthorizationOptions): Interceptor {
  const { services, onlyServices = false, onRefused } = options;
  const rules = new Map(
    services.flatMap(({ methods }) => methods.map(ruleOf)).filter((entry) => entry.length > 0) as [string, Rule][],
  );
  const refuse = (error: unknown): never => {
    const told = toConnectError(error);
    const { reasonName: reason = "", cause } = error as Partial<DomainError>;
    const isCertificate = (error as Partial<DomainError>).metadata?.cause === "certificate";
    // Too many guesses are counted where they are limited.
    if (reason !== "" && reason !== "RATE_LIMITED")
      onRefused(reason, isCertificate ? (cause as Error).message : undefined);
    if (reason.startsWith("CREDENTIAL")) told.metadata.set("www-authenticate", challenge(error as DomainError));
    throw told;
  };
  const judge = (request: CallRequest): RequestContext | Promise<RequestContext> => {
    const rule = rules.get(nameOf(request.method));
    if (onlyServices && rule && !isForServicesAlone(rule.access)) return {};
    // Nothing is proved, so nobody is believed to be anybody.
    if (rule?.access.anyone) return { actor: "anonymous" };
    const proof = proofOf(request, options);
    return proof instanceof Promise
      ? proof.then((found) => permit(request, rule, found))
      : permit(request, rule, proof);
  };
  /** A promise only where something is waited for, or refused. */
  const proving = (request: CallRequest): RequestContext | Promise<RequestContext> => {
    try {
      const judged = judge(request);
      return judged instanceof Promise ? judged.catch(refuse) : judged;
    } catch (error) {
      return refuse(error);
    }
  };
  return (next) => async (request) => {
    const proved = await proving(request);
    const onFailure = (error: unknown): void => {
      if (error !== undefined) request.contextValues.set(provedCaller, proved);
    };
    try {
      const response: CallResponse = await withContext(proved, () => next(request));
      if (!response.stream) return response;
      const context = withContext(proved, requestContext);
      return followStream(response, { around: (step) => runInContext(context, step), onEnd: onFailure });
    } catch (error) {
      onFailure(error);
      throw error;
    }
  };
}
