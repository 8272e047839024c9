/** What an extension API server says it serves (APIResourceList), as an entry of the aggregated discovery. Pure. */
import { parseBoundedJson } from '../webhook-client/index.ts'

/** `versions[]` of an APIGroupDiscovery. */
export interface VersionDiscovery { version: string; resources: readonly unknown[]; freshness: 'Current' | 'Stale' }

interface ListedResource { name?: unknown; singularName?: unknown; namespaced?: unknown; kind?: unknown; group?: unknown; version?: unknown; verbs?: unknown; shortNames?: unknown; categories?: unknown }

interface Resource { resource: string; responseKind: { group: string; version: string; kind: string }; scope: string; singularResource: string; verbs: string[]; shortNames?: string[]; categories?: string[]; subresources?: Subresource[] }
interface Subresource { subresource: string; responseKind: { group: string; version: string; kind: string }; verbs: string[] }

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
