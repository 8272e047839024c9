/** LimitRanges: defaults for containers that ask for nothing, bounds for those that do. */
import type { Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod } from '#api/types/index.ts'
import { compareQuantity, LIMIT_RANGES, parseQuantity, podLimits, podRequests } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { isFor, refuse } from './refuse.ts'

const ANNOTATION = 'kubernetes.io/limit-ranger'

type Quantities = Readonly<Record<string, string>>

export const limitRanger: AdmissionPlugin = {
  name: 'LimitRanger',

  mutate(request, api) {
    return !isFor(request, '', 'pods') || request.operation !== 'CREATE' || request.subresource !== '' ? undefined : fillDefaults(request, api)
  },

  validate(request, api) {
    const problemsOf = checkFor(request)
    // What is going may be changed to let it go.
    return !problemsOf || request.old?.metadata?.deletionTimestamp !== undefined ? undefined : checkBounds(request, api, problemsOf)
  },
}

async function checkBounds(request: AdmissionRequest, api: AdmissionApi, problemsOf: (item: LimitRangeItem) => string[]): Promise<Refusal | undefined> {
  for (const range of await ranges(request, api)) {
    const problems = [...new Set((range.spec?.limits ?? []).flatMap(problemsOf))]
    if (problems.length > 0) return refuse(problems.length === 1 ? (problems[0] ?? '') : `[${problems.join(', ')}]`)
  }
  return undefined
}

async function fillDefaults(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  for (const range of await ranges(request, api)) setDefaults(request.object as Pod, range)
  return undefined
}

/** Pods when they are made and when they are resized: nothing else changes their resources. */
function checkFor({ ref, operation, subresource, object }: AdmissionRequest): ((item: LimitRangeItem) => string[]) | undefined {
  if (ref.group !== '') return undefined
  if (ref.resource === 'pods' && ((operation === 'CREATE' && subresource === '') || (operation === 'UPDATE' && subresource === 'resize'))) return (item) => podProblems(object as Pod, item)
  if (ref.resource === 'persistentvolumeclaims' && subresource === '' && (operation === 'CREATE' || operation === 'UPDATE')) return (item) => claimProblems(object as PersistentVolumeClaim, item)
  return undefined
}

async function ranges(request: AdmissionRequest, api: AdmissionApi): Promise<LimitRange[]> {
  return (await api.client.list<LimitRange>(LIMIT_RANGES, { namespace: request.namespace })).items
}

function setDefaults(pod: Pod, range: LimitRange): void {
  const items = (range.spec?.limits ?? []).filter((item) => item.type === 'Container')
  const limits: Quantities = Object.assign({}, ...items.map((i) => i.default ?? {}))
  const requests: Quantities = Object.assign({}, ...items.map((i) => i.defaultRequest ?? {}))
  const told: string[] = []
  const fill = (containers: readonly Container[] | undefined, word: string) => {
    for (const container of containers ?? []) {
      const setRequests = missing(requests, container.resources?.requests)
      const setLimits = missing(limits, container.resources?.limits)
      if (setRequests.length === 0 && setLimits.length === 0) continue
      const resources = (container.resources ??= {})
      if (setRequests.length > 0) resources.requests = { ...requests, ...resources.requests }
      if (setLimits.length > 0) resources.limits = { ...limits, ...resources.limits }
      if (setRequests.length > 0) told.push(`${setRequests.join(', ')} request for ${word} ${container.name}`)
      if (setLimits.length > 0) told.push(`${setLimits.join(', ')} limit for ${word} ${container.name}`)
    }
  }
  fill(pod.spec?.containers, 'container')
  fill(pod.spec?.initContainers, 'init container')
  if (told.length === 0) return
  const meta = (pod.metadata ??= {})
  meta.annotations = { ...meta.annotations, [ANNOTATION]: `LimitRanger plugin set: ${told.join('; ')}` }
}

const missing = (defaults: Quantities, own: Quantities | undefined): string[] => Object.keys(defaults).filter((name) => own?.[name] === undefined).sort()

function podProblems(pod: Pod, item: LimitRangeItem): string[] {
  if (item.type === 'Container') return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].flatMap((c) => problems('Container', item, c.resources?.requests ?? {}, c.resources?.limits ?? {}))
  return item.type === 'Pod' ? problems('Pod', item, podRequests(pod), podLimits(pod)) : []
}

function claimProblems(claim: PersistentVolumeClaim, item: LimitRangeItem): string[] {
  const requests = claim.spec?.resources?.requests ?? {}
  return item.type === 'PersistentVolumeClaim' ? [...below('PersistentVolumeClaim', item, requests, {}), ...above('PersistentVolumeClaim', item, requests, {}, 'request')] : []
}

function problems(type: string, item: LimitRangeItem, requests: Quantities, limits: Quantities): string[] {
  return [...below(type, item, requests, limits), ...above(type, item, requests, limits, 'limit'), ...ratios(type, item, requests, limits)]
}

function below(type: string, item: LimitRangeItem, requests: Quantities, limits: Quantities): string[] {
  return Object.entries(item.min ?? {}).flatMap(([name, min]) => {
    const [request, limit] = [requests[name], limits[name]]
    if (request === undefined) return [`minimum ${name} usage per ${type} is ${min}.  No request is specified`]
    if (compareQuantity(request, min) < 0) return [`minimum ${name} usage per ${type} is ${min}, but request is ${request}`]
    return limit !== undefined && compareQuantity(limit, min) < 0 ? [`minimum ${name} usage per ${type} is ${min}, but limit is ${limit}`] : []
  })
}

function above(type: string, item: LimitRangeItem, requests: Quantities, limits: Quantities, needs: 'limit' | 'request'): string[] {
  return Object.entries(item.max ?? {}).flatMap(([name, max]) => {
    const [request, limit] = [requests[name], limits[name]]
    if ((needs === 'limit' ? limit : request) === undefined) return [`maximum ${name} usage per ${type} is ${max}.  No ${needs} is specified`]
    if (limit !== undefined && compareQuantity(limit, max) > 0) return [`maximum ${name} usage per ${type} is ${max}, but limit is ${limit}`]
    return request !== undefined && compareQuantity(request, max) > 0 ? [`maximum ${name} usage per ${type} is ${max}, but request is ${request}`] : []
  })
}

function ratios(type: string, item: LimitRangeItem, requests: Quantities, limits: Quantities): string[] {
  return Object.entries(item.maxLimitRequestRatio ?? {}).flatMap(([name, ratio]) => {
    const request = requests[name] === undefined ? 0n : parseQuantity(requests[name]).nano
    const limit = limits[name] === undefined ? 0n : parseQuantity(limits[name]).nano
    if (request === 0n) return [`${name} max limit to request ratio per ${type} is ${ratio}, but no request is specified or request is 0`]
    if (limit === 0n) return [`${name} max limit to request ratio per ${type} is ${ratio}, but no limit is specified or limit is 0`]
    const actual = Number(limit) / Number(request)
    return actual > Number(parseQuantity(ratio).nano) / 1e9 ? [`${name} max limit to request ratio per ${type} is ${ratio}, but provided ratio is ${actual.toFixed(6)}`] : []
  })
}
