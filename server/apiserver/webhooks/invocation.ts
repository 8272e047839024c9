/** Whether a webhook is to be called for a request, and in which version the object goes to it (apiserver `generic.ShouldCallHook`). */
import { isReason } from '#api/client/client.ts'
import { NAMESPACES, type Namespace } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { AdmissionApi, AdmissionRequest } from '../admission.ts'
import { forbidden, internal, notFound } from '../http/status.ts'
import type { KindRow } from '../kind.ts'
import { convertBetween, equivalentRows } from './equivalents.ts'
import type { Hook } from './hook.ts'
import { requestFields, type Invocation } from './request-fields.ts'
import { isEverything, matchesObject, matchesRule, namespaceLabels } from './rules.ts'

/** Undefined: it is not concerned. Throws a StatusError when that cannot be told. */
export async function decideInvocation(hook: Hook, own: KindRow, request: AdmissionRequest, api: AdmissionApi): Promise<Invocation | undefined> {
  // A webhook that the labels leave out must not do harm, even when its namespace cannot be read: rules first cost nothing.
  if (!matchesObject(hook.objects, request)) return undefined
  const row = matchedRow(hook, own, request, api)
  if (!row || !(await matchesNamespace(hook, request, api))) return undefined
  const invocation = await versioned(hook, own, row, request)
  if (!hook.conditions) return invocation
  const verdict = await hook.conditions.evaluate(invocation, requestFields(row, own, request), request, api)
  if ('error' in verdict) throw forbidden(request.ref, request.name, verdict.error)
  return verdict.matches ? invocation : undefined
}

function matchedRow(hook: Hook, own: KindRow, request: AdmissionRequest, { rows }: AdmissionApi): KindRow | undefined {
  if (hook.rules.some((rule) => matchesRule(rule, request))) return own
  if (hook.isExact) return undefined
  const equivalents = equivalentRows(rows, own, request.subresource)
  // Earlier rules first.
  for (const rule of hook.rules) {
    const found = equivalents.find((row) => matchesRule(rule, request, row.ref))
    if (found) return found
  }
  return undefined
}

async function matchesNamespace(hook: Hook, request: AdmissionRequest, api: AdmissionApi): Promise<boolean> {
  if (isEverything(hook.namespaces)) return true
  const source = namespaceLabels(request)
  if (source === undefined) return true
  if ('labels' in source) return hook.namespaces.matches(source.labels)
  return hook.namespaces.matches(await readLabels(source.namespace, api))
}

async function readLabels(namespace: string, api: AdmissionApi): Promise<Readonly<Record<string, string>>> {
  try {
    return (await api.client.get<Namespace>(NAMESPACES, namespace)).metadata.labels ?? {}
  } catch (error) {
    throw isReason(error, 'NotFound') ? notFound(NAMESPACES, namespace) : internal(asError(error).message)
  }
}

async function versioned(hook: Hook, own: KindRow, row: KindRow, request: AdmissionRequest): Promise<Invocation> {
  const { object, old } = request
  // Subresources with a form of their own (Scale) have it in all versions.
  const isOwnKind = request.kind.kind === own.ref.kind && request.kind.group === own.ref.group
  if (row === own || !isOwnKind) return { hook, row, object, old }
  try {
    const [shown, before] = await Promise.all([object && convertBetween(own, row, object), old && convertBetween(own, row, old)])
    return { hook, row, object: shown, old: before }
  } catch (error) {
    throw internal(asError(error).message)
  }
}
