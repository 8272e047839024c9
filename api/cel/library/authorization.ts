/** `authorizer...check('get').allowed()`: questions to the cluster's authorizer about the user of a request, or a service account. */
import { checkDnsLabel, checkDnsSubdomain } from '#api/types/names.ts'
import type { UserInfo } from '#api/types/user.ts'
import { Pending } from '../frame.ts'
import type { Declaration } from '../overload.ts'
import { EvalError, OpaqueValue } from '../value.ts'

/** One question, as the API server's authorizer takes it. */
export interface AuthorizationQuestion {
  user: UserInfo
  verb: string
  resource?: { group: string; version: string; resource: string; subresource: string; namespace: string; name: string }
  path?: string
  fieldSelector?: string
  labelSelector?: string
}

export interface AuthorizationAnswer { allowed: boolean; reason: string; /** Set where the authorizer failed. */ error?: string }

export type AskAuthorizer = (question: AuthorizationQuestion) => Promise<AuthorizationAnswer>

/** Answers of one request, by question. Evaluation asks; what is not known yet suspends it. */
class Answers {
  readonly #ask: AskAuthorizer
  readonly #known = new Map<string, AuthorizationAnswer>()
  constructor(ask: AskAuthorizer) { this.#ask = ask }

  answer(question: AuthorizationQuestion): AuthorizationAnswer {
    const key = JSON.stringify(question)
    const known = this.#known.get(key)
    if (known) return known
    throw new Pending(async () => {
      try {
        this.#known.set(key, await this.#ask(question))
      } catch (e) {
        this.#known.set(key, { allowed: false, reason: '', error: e instanceof Error ? e.message : String(e) })
      }
    })
  }
}

abstract class Receiver extends OpaqueValue {
  equals(other: OpaqueValue): boolean { return this === other }
}

class AuthorizerValue extends Receiver {
  readonly typeName = 'kubernetes.authorization.Authorizer'
  readonly answers: Answers
  readonly user: UserInfo
  constructor(answers: Answers, user: UserInfo) {
    super()
    this.answers = answers
    this.user = user
  }
}

class PathCheck extends Receiver {
  readonly typeName = 'kubernetes.authorization.PathCheck'
  readonly authorizer: AuthorizerValue
  readonly path: string
  constructor(authorizer: AuthorizerValue, path: string) {
    super()
    this.authorizer = authorizer
    this.path = path
  }
}

class GroupCheck extends Receiver {
  readonly typeName = 'kubernetes.authorization.GroupCheck'
  readonly authorizer: AuthorizerValue
  readonly group: string
  constructor(authorizer: AuthorizerValue, group: string) {
    super()
    this.authorizer = authorizer
    this.group = group
  }
}

interface ResourceFields { group: string; resource: string; subresource: string; namespace: string; name: string; fieldSelector?: string; labelSelector?: string }

class ResourceCheck extends Receiver {
  readonly typeName = 'kubernetes.authorization.ResourceCheck'
  readonly authorizer: AuthorizerValue
  readonly fields: ResourceFields
  constructor(authorizer: AuthorizerValue, fields: ResourceFields) {
    super()
    this.authorizer = authorizer
    this.fields = fields
  }
  with(change: Partial<ResourceFields>): ResourceCheck { return new ResourceCheck(this.authorizer, { ...this.fields, ...change }) }
}

class Decision extends Receiver {
  readonly typeName = 'kubernetes.authorization.Decision'
  readonly answer: AuthorizationAnswer
  constructor(answer: AuthorizationAnswer) { super(); this.answer = answer }
}

/** Values of the variables `authorizer` and `authorizer.requestResource` for one request; answers are kept as long as they are. */
export function authorizerBindings(ask: AskAuthorizer, user: UserInfo, request: { group: string; resource: string; subresource: string; namespace: string; name: string }): Record<string, unknown> {
  const authorizer = new AuthorizerValue(new Answers(ask), user)
  const { group, resource, subresource, namespace, name } = request
  return { authorizer, 'authorizer.requestResource': new ResourceCheck(authorizer, { group, resource, subresource, namespace, name }) }
}

function notEmpty(text: string, what: string): string {
  if (text.trim() === '') throw new EvalError(`${what} must not be empty`)
  return text
}

function serviceAccount(authorizer: AuthorizerValue, namespace: string, name: string): AuthorizerValue {
  if (checkDnsSubdomain(name).length > 0) throw new EvalError('Invalid service account name')
  if (checkDnsLabel(namespace).length > 0) throw new EvalError('Invalid service account namespace')
  return new AuthorizerValue(authorizer.answers, { name: `system:serviceaccount:${namespace}:${name}`, groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`] })
}

function checkResource({ authorizer, fields }: ResourceCheck, verb: string): Decision {
  const { fieldSelector, labelSelector, ...resource } = fields
  return new Decision(authorizer.answers.answer({
    user: authorizer.user, verb, resource: { ...resource, version: '*' }, ...(fieldSelector ? { fieldSelector } : {}), ...(labelSelector ? { labelSelector } : {}),
  }))
}
const K = 'kubernetes.authorization.'

export const AUTHORIZATION: readonly Declaration[] = [
  ['authorizer_path', `${K}Authorizer->path(string): ${K}PathCheck`, (a: AuthorizerValue, path: string) => new PathCheck(a, notEmpty(path, 'path'))],
  ['authorizer_group', `${K}Authorizer->group(string): ${K}GroupCheck`, (a: AuthorizerValue, group: string) => new GroupCheck(a, group)],
  ['authorizer_serviceaccount', `${K}Authorizer->serviceAccount(string, string): ${K}Authorizer`, serviceAccount],
  ['groupcheck_resource', `${K}GroupCheck->resource(string): ${K}ResourceCheck`, (g: GroupCheck, resource: string) =>
    new ResourceCheck(g.authorizer, { group: g.group, resource: notEmpty(resource, 'resource'), subresource: '', namespace: '', name: '' })],
  ['resourcecheck_subresource', `${K}ResourceCheck->subresource(string): ${K}ResourceCheck`, (r: ResourceCheck, subresource: string) => r.with({ subresource })],
  ['resourcecheck_namespace', `${K}ResourceCheck->namespace(string): ${K}ResourceCheck`, (r: ResourceCheck, namespace: string) => r.with({ namespace })],
  ['resourcecheck_name', `${K}ResourceCheck->name(string): ${K}ResourceCheck`, (r: ResourceCheck, name: string) => r.with({ name })],
  ['authorizer_fieldselector', `${K}ResourceCheck->fieldSelector(string): ${K}ResourceCheck`, (r: ResourceCheck, fieldSelector: string) => r.with({ fieldSelector })],
  ['authorizer_labelselector', `${K}ResourceCheck->labelSelector(string): ${K}ResourceCheck`, (r: ResourceCheck, labelSelector: string) => r.with({ labelSelector })],
  ['pathcheck_check', `${K}PathCheck->check(string): ${K}Decision`, (p: PathCheck, verb: string) => new Decision(p.authorizer.answers.answer({ user: p.authorizer.user, verb, path: p.path }))],
  ['resourcecheck_check', `${K}ResourceCheck->check(string): ${K}Decision`, checkResource],
  ['decision_errored', `${K}Decision->errored(): bool`, (d: Decision) => d.answer.error !== undefined],
  ['decision_error', `${K}Decision->error(): string`, (d: Decision) => d.answer.error ?? ''],
  ['decision_allowed', `${K}Decision->allowed(): bool`, (d: Decision) => d.answer.allowed],
  ['decision_reason', `${K}Decision->reason(): string`, (d: Decision) => d.answer.reason],
]
