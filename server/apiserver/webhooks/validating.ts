/** ValidatingAdmissionWebhook: all webhooks that are concerned at once; the first refusal in their order is told. */
import { StatusError, internal } from '../http/status.ts'
import type { Log } from '#base/log.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import type { KindRow } from '../kind.ts'
import { callHook, type HookCaller } from './call-hook.ts'
import type { HookSource } from './hook.ts'
import { decideInvocation } from './invocation.ts'
import type { Invocation } from './request-fields.ts'
import { isExempt } from './rules.ts'

export function validatingWebhooks(hooks: HookSource, caller: HookCaller, log: Log): AdmissionPlugin {
  return {
    name: 'ValidatingAdmissionWebhook',
    validate(request, api) {
      const found = hooks()
      return Array.isArray(found) && found.length === 0 ? undefined : askAll(found, request, api)
    },
  }

  async function askAll(found: ReturnType<HookSource>, request: AdmissionRequest, api: AdmissionApi): Promise<undefined> {
    const all = await found
    const own = all.length === 0 || isExempt(request) ? undefined : api.rows.find(request.ref.group, request.ref.version, request.ref.resource)
    if (!own) return undefined
    const invocations: Invocation[] = []
    for (const hook of all) {
      const invocation = await decideInvocation(hook, own, request, api)
      if (invocation) invocations.push(invocation)
    }
    const refusals = await Promise.all(invocations.map((invocation, index) => run(invocation, index, own, request, api)))
    const first = refusals.find((refusal) => refusal !== undefined)
    if (first) throw first
    return undefined
  }

  async function run(invocation: Invocation, index: number, own: KindRow, request: AdmissionRequest, api: AdmissionApi): Promise<StatusError | undefined> {
    const { hook } = invocation
    const outcome = await callHook(caller, invocation, own, request, api, false)
    if (outcome.kind === 'allowed') return undefined
    if (outcome.kind === 'rejected') return outcome.error
    if (!hook.failsOpen) {
      log.warn('a validating webhook could not be called: the request is refused', { webhook: hook.name, error: outcome.message })
      return internal(outcome.message)
    }
    log.warn('a validating webhook could not be called: the request goes on without it', { webhook: hook.name, error: outcome.message })
    api.annotate(`failed-open.validating.webhook.admission.k8s.io/round_0_index_${index}`, hook.name)
    return undefined
  }
}
