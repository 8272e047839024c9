/** What an extension API server says it serves, all at once (APIGroupDiscoveryList) or of one group version (APIResourceList), as entries of the aggregated discovery. Pure. */
import { parseBoundedJson } from '../webhook-client/index.ts'

/** `versions[]` of an APIGroupDiscovery. */
export interface VersionDiscovery { version: string; /** Never empty. */ resources?: readonly unknown[]; freshness: 'Current' | 'Stale' }

/** What upstream's aggregator asks for. */
export const AGGREGATED_ACCEPT = ['v2', 'v2beta1'].map((version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`).join(',')

export function isAggregated(contentType: string | undefined): boolean {
  const [media = '', ...params] = (contentType ?? '').split(';').map((part) => part.trim())
  const said = new Map(params.map((param) => { const [name = '', value = ''] = param.split('=', 2); return [name.toLowerCase(), value.replace(/^"(.*)"$/, '$1')] }))
  return media.toLowerCase() === 'application/json' && said.get('g') === 'apidiscovery.k8s.io' && ['v2', 'v2beta1'].includes(said.get('v') ?? '') && said.get('as') === 'APIGroupDiscoveryList'
}

/** Resources by the name of the group version's APIService (`v1.example.com`). Undefined: the text is no such list. */
export function parseGroupDiscoveryList(text: string): ReadonlyMap<string, readonly unknown[]> | undefined {
  const { kind, items } = recordOf(parseBoundedJson(Buffer.from(text)))
  if (kind !== 'APIGroupDiscoveryList') return undefined
  return new Map(recordsOf(items).flatMap(({ metadata, versions }) => recordsOf(versions).map(({ version, resources }) => [`${textOf(version)}.${textOf(recordOf(metadata)['name'])}`, recordsOf(resources).map(resourceOf)] as const)))
}

/** Only what the aggregated discovery has, each of its type. */
function resourceOf({ resource, responseKind, scope, singularResource, verbs, shortNames, categories, subresources }: Loose): Resource {
  const [short, more, parts] = [textsOf(shortNames), textsOf(categories), recordsOf(subresources)]
  return {
    resource: textOf(resource), responseKind: kindOf(responseKind), scope: textOf(scope), singularResource: textOf(singularResource), verbs: textsOf(verbs),
    ...(short.length > 0 && { shortNames: short }), ...(more.length > 0 && { categories: more }),
    ...(parts.length > 0 && { subresources: parts.map((part): Subresource => {
      const accepted = recordsOf(part['acceptedTypes']).map(kindOf)
      return { subresource: textOf(part['subresource']), responseKind: kindOf(part['responseKind']), ...(accepted.length > 0 && { acceptedTypes: accepted }), verbs: textsOf(part['verbs']) }
    }) }),
  }
}

/** There even if it was not told: clients of 1.26 fall without it. */
function kindOf(value: unknown): Kind {
  const { group, version, kind } = recordOf(value)
  return { group: textOf(group), version: textOf(version), kind: textOf(kind) }
}

type Loose = Readonly<Record<string, unknown>>
const recordOf = (value: unknown): Loose => (typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Loose : {})
const recordsOf = (value: unknown): Loose[] => (Array.isArray(value) ? value.map(recordOf) : [])

interface ListedResource { name?: unknown; singularName?: unknown; namespaced?: unknown; kind?: unknown; group?: unknown; version?: unknown; verbs?: unknown; shortNames?: unknown; categories?: unknown }

interface Kind { group: string; version: string; kind: string }
interface Resource { resource: string; responseKind: Kind; scope: string; singularResource: string; verbs: string[]; shortNames?: string[]; categories?: string[]; subresources?: Subresource[] }
interface Subresource { subresource: string; responseKind: Kind; acceptedTypes?: Kind[]; verbs: string[] }

/** Undefined: the text is no such list. */
export function parseResourceList(text: string, group: string, version: string): readonly unknown[] | undefined {
  const list = parseList(text)
  if (!list) return undefined
  const resources = new Map<string, Resource>()
  for (const item of list) {
    const [name = '', subresource] = textOf(item.name).split('/', 2)
    const responseKind = { group: textOf(item.group) || group, version: textOf(item.version) || version, kind: textOf(item.kind) }
    const verbs = textsOf(item.verbs)
    if (subresource === undefined) {
      const [shortNames, categories] = [textsOf(item.shortNames), textsOf(item.categories)]
      resources.set(name, {
        resource: name, responseKind, scope: item.namespaced === true ? 'Namespaced' : 'Cluster', singularResource: textOf(item.singularName), verbs,
        ...(shortNames.length > 0 && { shortNames }), ...(categories.length > 0 && { categories }),
      })
      continue
    }
    const parent = resources.get(name)
    // One without its resource has no other place to be told of.
    if (parent) (parent.subresources ??= []).push({ subresource, responseKind, verbs })
  }
  return [...resources.values()]
}

function parseList(text: string): ListedResource[] | undefined {
  const { kind, resources } = (parseBoundedJson(Buffer.from(text)) ?? {}) as { kind?: unknown; resources?: unknown }
  return kind === 'APIResourceList' && Array.isArray(resources) ? resources.filter((r): r is ListedResource => typeof r === 'object' && r !== null) : undefined
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const textsOf = (value: unknown): string[] => (Array.isArray(value) ? value.filter((v): v is string => typeof v === 'string') : [])
