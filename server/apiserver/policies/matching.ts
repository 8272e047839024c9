/** Whether a policy or binding speaks of a request, and in the terms of which resource (apiserver `policy/matching`). */
import { isReason } from '#api/client/client.ts'
import { NAMESPACES, type Namespace } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionRequest } from '../admission.ts'
import { notFound } from '../http/status.ts'
import type { KindRow } from '../kind.ts'
import { equivalentRows } from '../webhooks/equivalents.ts'
import { isEverything, matchesObject, matchesRule, namespaceLabels } from '../webhooks/rules.ts'
import type { Match, NamedRule } from './compile-policy.ts'

/** The row the rules matched: the request's own, or an equivalent one. Undefined: no match. Fails when the namespace cannot be read. */
export async function matchedRow(match: Match, own: KindRow, request: AdmissionRequest, api: AdmissionApi): Promise<KindRow | undefined> {
  if (!matchesObject(match.objects, request) || byRules(match.excluded, match, own, request, api)) return undefined
  const row = match.rules.length === 0 ? own : byRules(match.rules, match, own, request, api)
  return row && (await matchesNamespace(match, request, api)) ? row : undefined
}

function byRules(rules: readonly NamedRule[], { isExact }: Match, own: KindRow, request: AdmissionRequest, { rows }: AdmissionApi): KindRow | undefined {
  const named = ({ resourceNames = [] }: NamedRule): boolean => resourceNames.length === 0 || resourceNames.includes(request.name)
  if (rules.some((rule) => matchesRule(rule, request) && named(rule))) return own
  if (isExact || rules.length === 0) return undefined
  const equivalents = equivalentRows(rows, own, request.subresource)
  for (const rule of rules) {
    const found = named(rule) ? equivalents.find((row) => matchesRule(rule, request, row.ref)) : undefined
    if (found) return found
  }
  return undefined
}

async function matchesNamespace({ namespaces }: Match, request: AdmissionRequest, api: AdmissionApi): Promise<boolean> {
  if (isEverything(namespaces)) return true
  const source = namespaceLabels(request)
  if (source === undefined) return true
  return namespaces.matches('labels' in source ? source.labels : ((await readNamespace(source.namespace, api)).metadata.labels ?? {}))
}

export async function readNamespace(name: string, { client }: AdmissionApi): Promise<Namespace & { metadata: NonNullable<Namespace['metadata']> }> {
  try {
    return await client.get<Namespace>(NAMESPACES, name)
  } catch (error) {
    throw isReason(error, 'NotFound') ? notFound(NAMESPACES, name) : error
  }
}
