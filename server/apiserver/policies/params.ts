/** The parameter objects a binding names, as `params` sees them one after the other (apiserver `generic.CollectParams`). */
import { isReason } from '#api/client/client.ts'
import type { KubeObject } from '#api/types/index.ts'
import { describeLabelSelector } from '#api/types/labels.ts'
import type { AdmissionApi, AdmissionRequest } from '../admission.ts'
import type { KindRow } from '../kind.ts'
import { attributesNamespace } from '../webhooks/rules.ts'
import type { Binding, Policy } from './compile-policy.ts'

/** `failed to configure ...`: nothing can be told about the request. */
export class ConfigurationError extends Error {}

/** Undefined: the policy wants none. Throws ConfigurationError for a kind nobody knows. */
export function paramRow({ paramKind }: Policy, { rows }: AdmissionApi): KindRow | undefined {
  if (!paramKind) return undefined
  const row = rows.findKind(paramKind.apiVersion, paramKind.kind)
  if (!row) throw new ConfigurationError(`failed to find resource referenced by paramKind: '${paramKind.apiVersion.includes('/') ? '' : '/'}${paramKind.apiVersion}, Kind=${paramKind.kind}'`)
  return row
}

/** One run per element; null: without parameters. */
export async function collectParams(row: KindRow | undefined, { paramRef }: Binding, request: AdmissionRequest, api: AdmissionApi): Promise<(KubeObject | null)[]> {
  if (!row || !paramRef) return [null]
  const namespace = paramNamespace(row, paramRef.namespace, request)
  const found = paramRef.name ? await byName(row, paramRef.name, namespace, api) : await bySelector(row, paramRef.selector, namespace, api)
  if (found.length === 0 && paramRef.parameterNotFoundAction === 'Deny') throw new ConfigurationError('no params found for policy binding with `Deny` parameterNotFoundAction')
  return found
}

function paramNamespace({ ref }: KindRow, wanted: string | undefined, request: AdmissionRequest): string | undefined {
  if (!ref.namespaced) {
    if (wanted) throw new ConfigurationError('paramRef.namespace must not be provided for a cluster-scoped `paramKind`')
    return undefined
  }
  const namespace = wanted || attributesNamespace(request)
  if (namespace === '') throw new ConfigurationError('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources')
  return namespace
}

async function byName({ ref }: KindRow, name: string, namespace: string | undefined, { client }: AdmissionApi): Promise<KubeObject[]> {
  try {
    return [await client.get(ref, name, namespace)]
  } catch (error) {
    if (isReason(error, 'NotFound')) return []
    throw error
  }
}

async function bySelector({ ref }: KindRow, selector: Parameters<typeof describeLabelSelector>[0], namespace: string | undefined, { client }: AdmissionApi): Promise<KubeObject[]> {
  const labelSelector = selector && describeLabelSelector(selector)
  const { items } = await client.list(ref, { ...(namespace !== undefined && { namespace }), ...(labelSelector && labelSelector !== '<none>' && { labelSelector }) })
  const names = { kind: ref.kind, apiVersion: ref.group === '' ? ref.version : `${ref.group}/${ref.version}` }
  return items.map((item) => ({ ...names, ...item }))
}
