/** The two webhook plugins over what is stored: a configuration counts from the write on. */
import type { AdmissionPlugin } from '../admission.ts'
import { cacheOf, type Parts } from '../verbs/call.ts'
import type { WebhookIdentities } from '../webhook-client/index.ts'
import { hooksOf } from './hook.ts'
import { mutatingWebhooks } from './mutating.ts'
import { validatingWebhooks } from './validating.ts'
import { WebhookMetrics } from './webhook-metrics.ts'

const GROUP = 'admissionregistration.k8s.io'

/** By phase: each plugin has a configuration of its own. */
export interface AdmissionIdentities { mutating?: WebhookIdentities; validating?: WebhookIdentities }

export function createWebhookPlugins(parts: Parts, metrics = new WebhookMetrics(), identities: AdmissionIdentities = {}): AdmissionPlugin[] {
  const caller = { ...parts, metrics }
  const stored = (resource: string, kind: string) => hooksOf(() => parts.caches.ready({ group: GROUP, resource, namespaced: false }), async () => {
    const row = parts.rows.find(GROUP, 'v1', resource)
    return row && cacheOf(parts, row)
  }, { kind, apiVersion: `${GROUP}/v1` })
  return [
    mutatingWebhooks(stored('mutatingwebhookconfigurations', 'MutatingWebhookConfiguration'), { ...caller, identities: identities.mutating }, parts.log),
    validatingWebhooks(stored('validatingwebhookconfigurations', 'ValidatingWebhookConfiguration'), { ...caller, identities: identities.validating }, parts.log),
  ]
}
