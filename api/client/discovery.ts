/** Which resources the server has: /api, /apis and each group version's list, without the aggregated form's content types. */
import type { ResourceRef } from '../types/index.ts'
import { asError } from '#base/errors.ts'
import type { Client } from './client.ts'

export interface DiscoveredResource { ref: ResourceRef; verbs: readonly string[] }

export interface Discovery {
  /** Of each group the preferred version of a resource; subresources left out. */
  resources: DiscoveredResource[]
  /** Group versions that could not be asked, with the reason: what lives there is unknown. */
  failures: { groupVersion: string; message: string }[]
}

interface ApiGroup { name: string; versions: { groupVersion: string; version: string }[]; preferredVersion?: { groupVersion: string } }
interface ApiResourceList { resources?: { name: string; kind: string; namespaced: boolean; verbs?: string[]; group?: string; version?: string }[] }

/** Rejects only when /apis itself does not answer. */
export async function discover(client: Client, signal?: AbortSignal): Promise<Discovery> {
  const groups = ((await client.raw('GET', '/apis', undefined, signal)) as { groups?: ApiGroup[] }).groups ?? []
  const asked = [{ group: '', version: 'v1', path: '/api/v1' }]
  for (const g of groups) {
    const preferred = g.preferredVersion?.groupVersion
    const ordered = g.versions.toSorted((a, b) => Number(b.groupVersion === preferred) - Number(a.groupVersion === preferred))
    for (const v of ordered) asked.push({ group: g.name, version: v.version, path: `/apis/${v.groupVersion}` })
  }
  const answers = await Promise.all(asked.map(async (a) => {
    try {
      return { ...a, list: (await client.raw('GET', a.path, undefined, signal)) as ApiResourceList }
    } catch (error) {
      return { ...a, failure: asError(error).message }
    }
  }))
  const found: Discovery = { resources: [], failures: [] }
  const seen = new Set<string>()
  for (const answer of answers) {
    if ('failure' in answer) {
      found.failures.push({ groupVersion: answer.path.replace(/^\/apis?\//, ''), message: answer.failure })
      continue
    }
    for (const r of answer.list.resources ?? []) {
      const id = `${answer.group}/${r.name}`
      if (r.name.includes('/') || seen.has(id)) continue
      seen.add(id)
      found.resources.push({ ref: { group: answer.group, version: answer.version, resource: r.name, kind: r.kind, namespaced: r.namespaced }, verbs: r.verbs ?? [] })
    }
  }
  return found
}
