/** Requests for resources, after authentication: the load gate, who else serves the group, authorization, then the verb. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Aggregation } from './aggregation/aggregation.ts'
import type { Backend } from './aggregation/api-services.ts'
import type { Authorizer } from './auth.ts'
import type { CustomResources } from './crd/index.ts'
import { askedFor, type Asked, type Caller } from './exchange.ts'
import type { ResourceInfo } from './http/request-info.ts'
import { methodNotAllowed, noSuchResource } from './http/status.ts'
import type { KindRow } from './kind.ts'
import { authorizeResource } from './middleware/authorize.ts'
import type { LoadGate } from './middleware/load-gate.ts'
import { fitsMethod, LONG_RUNNING } from './request-verb.ts'
import { servesVerb } from './rows.ts'
import type { Subresources } from './subresources/handlers.ts'
import type { Call, Parts, Verb } from './verbs/call.ts'
import { VERBS } from './verbs/verbs.ts'

export interface ResourceParts {
  parts: Parts
  authorizer: Authorizer
  gate: LoadGate
  aggregation: Aggregation
  custom: CustomResources
  subresources: Subresources
  reviews: (row: KindRow) => Verb | undefined
}

export interface ResourceRequests {
  serve(caller: Caller, info: ResourceInfo): Promise<ApiResponse>
  /** What comes before the verb. Throws 403, and 404 for what nobody serves. */
  authorized(caller: Caller, info: ResourceInfo, asked: Asked): Promise<Call>
  run(call: Call): Promise<ApiResponse>
}

export function createResourceRequests({ parts, authorizer, gate, aggregation, custom, subresources, reviews }: ResourceParts): ResourceRequests {
  async function serve(caller: Caller, info: ResourceInfo): Promise<ApiResponse> {
    if (!aggregation.isReady) await aggregation.ready
    const { request, user } = caller
    const asked = askedFor(request, info)
    const backend = aggregation.backendOf(info.group, info.version)
    const answer = async () => (backend ? serveElsewhere(caller, asked, backend) : run(await authorized(caller, info, asked)))
    if (LONG_RUNNING.has(info.subresource)) return answer()
    const entered = gate.enter({ user, verb: asked.verb, path: request.path, info: asked.info, query: asked.query, signal: request.signal }, caller.exchange.answerHeaders)
    const leave = entered instanceof Promise ? await entered : entered
    try {
      return await answer()
    } finally {
      // A watch has begun when its answer is there; what it sends later takes no seat.
      leave()
    }
  }

  async function serveElsewhere({ request, user, exchange }: Caller, asked: Asked, backend: Backend): Promise<ApiResponse> {
    await authorizeResource(authorizer, user, asked.verb, asked.info, asked.selectors, exchange.trail?.authorized)
    return aggregation.proxy(backend, request, user)
  }

  async function authorized({ request, user, exchange }: Caller, info: ResourceInfo, asked: Asked): Promise<Call> {
    const { verb, query, rawQuery, selectors } = asked
    const { warnings, trail } = exchange
    await authorizeResource(authorizer, user, verb, asked.info, selectors, trail?.authorized)
    if (!custom.isReady) await custom.ready
    const row = parts.rows.find(info.group, info.version, info.resource)
    if (!row || (info.namespace !== '' && !row.ref.namespaced)) throw noSuchResource()
    // What is only asked or made has no list of all namespaces, and no name to be got by.
    if (row.ref.namespaced && info.namespace === '' && info.name === '' && verb !== 'create' && !servesVerb(row, 'list')) throw noSuchResource()
    if (info.name !== '' && info.subresource === '' && !servesVerb(row, 'get')) throw noSuchResource()
    if (info.subresource !== '' && !row.subresources.includes(info.subresource)) throw noSuchResource()
    // Upstream has no route for it; the handler of a definition's resources goes by the verb.
    if (!fitsMethod(verb, info) || (request.method === 'HEAD' && !row.custom && info.subresource !== 'proxy')) throw methodNotAllowed()
    return {
      parts, row, info, verb, method: request.method, query, rawQuery, headers: request.headers, body: request.body, user, signal: request.signal, dueMs: exchange.dueMs,
      warn: (text) => warnings.add(text),
      annotate: (key, value, level = 'Metadata') => trail?.annotate(key, value, level),
      ...(trail && { noteObject: trail.requestObject }),
    }
  }

  async function run(call: Call): Promise<ApiResponse> {
    const { row, info, verb } = call
    if (row.warning !== undefined) {
      call.warn(row.warning)
      call.parts.metrics.deprecated(row.ref, info.subresource, /unavailable in v(\d+\.\d+)\+/.exec(row.warning)?.[1] ?? '')
    }
    const needsNamespace = row.ref.namespaced && info.namespace === ''
    if (info.subresource !== '') {
      if (info.name === '' || needsNamespace || (info.rest !== '' && info.subresource !== 'proxy')) throw noSuchResource()
      return subresources(call)
    }
    const review = reviews(row)
    if (review) {
      if (!servesVerb(row, verb)) throw methodNotAllowed()
      return review(call)
    }
    if (verb === '' || !servesVerb(row, verb)) throw methodNotAllowed()
    const isMany = verb === 'list' || verb === 'watch'
    // Built-in kinds have the path for lists; a definition's handler knows no other verb on it.
    if (needsNamespace && !isMany) throw info.name === '' && !row.custom ? methodNotAllowed() : noSuchResource()
    return VERBS[verb](call)
  }

  return { serve, authorized, run }
}
