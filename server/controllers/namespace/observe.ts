/** Looks for everything that is left in a dying namespace: metadata only, in pages. */
import type { Client, Informer } from '#api/client/client.ts'
import { isReason } from '#api/client/client.ts'
import { discover, type DiscoveredResource } from '#api/client/discovery.ts'
import type { KubeObject, Namespace } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { NamespaceView, Remaining } from './decide.ts'

const PAGE_OBJECTS = 500

export async function observeNamespace(name: string, namespaces: Informer<Namespace>, client: Client, attempts: number, signal: AbortSignal): Promise<NamespaceView | undefined> {
  const namespace = namespaces.get(name)
  if (!namespace) return undefined
  if (namespace.metadata.deletionTimestamp === undefined) return { namespace, content: undefined, attempts }
  const { resources, failures } = await discover(client, signal)
  const kinds = resources.filter((r) => r.ref.namespaced && r.verbs.includes('list') && r.verbs.includes('delete'))
  const remaining: Remaining[] = []
  const listFailures: string[] = []
  for (const kind of kinds) {
    try {
      const found = await remainingOf(kind, name, client, signal)
      if (found) remaining.push(found)
    } catch (error) {
      if (!isReason(error, 'NotFound', 'MethodNotAllowed')) listFailures.push(`${kind.ref.resource}: ${asError(error).message}`)
    }
  }
  return { namespace, attempts, content: { remaining, listFailures, discoveryFailures: failures.map((f) => `${f.groupVersion}: ${f.message}`) } }
}

async function remainingOf(kind: DiscoveredResource, namespace: string, client: Client, signal: AbortSignal): Promise<Remaining | undefined> {
  let count = 0
  let undeleted = 0
  const finalizers: Record<string, number> = {}
  let from: string | undefined
  do {
    const page = await client.list<KubeObject>(kind.ref, { namespace, metadataOnly: true, limit: PAGE_OBJECTS, ...(from !== undefined && { continue: from }) }, signal)
    for (const { metadata } of page.items) {
      count++
      if (metadata.deletionTimestamp === undefined) undeleted++
      for (const f of metadata.finalizers ?? []) finalizers[f] = (finalizers[f] ?? 0) + 1
    }
    from = page.metadata.continue
  } while (from)
  return count === 0 ? undefined : { ref: kind.ref, count, undeleted, finalizers, canDeleteCollection: kind.verbs.includes('deletecollection') }
}
