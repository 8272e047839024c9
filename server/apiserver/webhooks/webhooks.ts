/** The two webhook plugins over what is stored: a configuration counts from the write on. */
import type { AdmissionPlugin } from '../admission.ts'
import { cacheOf, type Parts } from '../verbs/call.ts'
import { hooksOf } from './hook.ts'
import { mutatingWebhooks } from './mutating.ts'
import { validatingWebhooks } from './validating.ts'

const GROUP = 'admissionregistration.k8s.io'

export function createWebhookPlugins(parts: Parts): AdmissionPlugin[] {
  const stored = (resource: string, kind: string) => hooksOf(() => {
    const row = parts.rows.find(GROUP, 'v1', resource)
    return row && cacheOf(parts, row)
  }, { kind, apiVersion: `${GROUP}/v1` })
  return [
    mutatingWebhooks(stored('mutatingwebhookconfigurations', 'MutatingWebhookConfiguration'), parts, parts.log),
    validatingWebhooks(stored('validatingwebhookconfigurations', 'ValidatingWebhookConfiguration'), parts, parts.log),
  ]
}
