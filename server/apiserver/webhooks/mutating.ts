/** MutatingAdmissionWebhook: webhooks one after the other, each seeing what those before it made, and again when upstream's reinvocation says so. */
import type { KubeObject } from '#api/types/index.ts'
import type { Log } from '#base/log.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import { internal } from '../http/status.ts'
import type { KindRow } from '../kind.ts'
import { applyJsonPatch } from '../patch/json-patch.ts'
import type { Json } from '../patch/result.ts'
import { cloneJson } from '../storage/clone.ts'
import { equalJson } from '../storage/equal.ts'
import { callHook, type HookCaller } from './call-hook.ts'
import { convertBetween } from './equivalents.ts'
import type { Hook, HookSource } from './hook.ts'
import { decideInvocation } from './invocation.ts'
import type { Invocation } from './request-fields.ts'
import { isExempt } from './rules.ts'

const NAME = 'MutatingAdmissionWebhook'

/** What is kept from the first round to the second (apiserver `webhookReinvokeContext`). */
interface Rounds {
  lastOutput: KubeObject | undefined
  /** Reinvocable ones that were called since something changed. */
  invoked: Set<string>
  /** Those to be called in the second round. */
  again: Set<string>
}

export function mutatingWebhooks(hooks: HookSource, caller: HookCaller, log: Log): AdmissionPlugin {
  return {
    name: NAME,
    mutate(request, api) {
      const found = hooks()
      return Array.isArray(found) && found.length === 0 ? undefined : mutateBy(found, request, api)
    },
  }

  async function mutateBy(found: ReturnType<HookSource>, request: AdmissionRequest, api: AdmissionApi): Promise<undefined> {
    const all = await found
    const own = all.length === 0 || isExempt(request) ? undefined : api.rows.find(request.ref.group, request.ref.version, request.ref.resource)
    if (own) await runAll(all, own, request, api)
  }

  async function runAll(all: readonly Hook[], own: KindRow, request: AdmissionRequest, api: AdmissionApi): Promise<void> {
    const { reinvocation } = request
    const rounds = (reinvocation.memory.get(NAME) ?? { lastOutput: undefined, invoked: new Set(), again: new Set() }) as Rounds
    reinvocation.memory.set(NAME, rounds)
    // Plugins of ours, run again, changed what the webhooks saw last.
    if (reinvocation.isSecond && rounds.invoked.size > 0 && !equalJson(rounds.lastOutput, request.object)) requireAgain(rounds)
    for (const [index, hook] of all.entries()) {
      if (reinvocation.isSecond && !rounds.again.has(hook.uid)) continue
      const invocation = await decideInvocation(hook, own, request, api)
      if (invocation) await run(invocation, index, rounds, own, request, api)
    }
    if (rounds.invoked.size > 0) rounds.lastOutput = request.object && cloneJson(request.object)
  }

  async function run(invocation: Invocation, index: number, rounds: Rounds, own: KindRow, request: AdmissionRequest, api: AdmissionApi): Promise<void> {
    const { hook } = invocation
    const place = `round_${request.reinvocation.isSecond ? 1 : 0}_index_${index}`
    const outcome = await callHook(caller, invocation, own, request, api, true)
    const changed = outcome.kind === 'allowed' && await applyPatch(outcome.patch, outcome.answer.patchType, invocation, own, request, api, place)
    api.annotate(`mutation.webhook.admission.k8s.io/${place}`, JSON.stringify({ configuration: hook.configuration, webhook: hook.name, mutated: changed }))
    if (changed) {
      requireAgain(rounds)
      request.reinvocation.request()
    }
    if (hook.isReinvocable) rounds.invoked.add(hook.uid)
    if (outcome.kind === 'rejected') throw outcome.error
    if (outcome.kind !== 'failed') return
    if (!hook.failsOpen) {
      log.warn('a mutating webhook could not be called: the request is refused', { webhook: hook.name, error: outcome.message })
      throw internal(outcome.message)
    }
    log.warn('a mutating webhook could not be called: the request goes on without it', { webhook: hook.name, error: outcome.message })
    api.annotate(`failed-open.mutation.webhook.admission.k8s.io/${place}`, hook.name)
  }
}

function requireAgain(rounds: Rounds): void {
  for (const uid of rounds.invoked) rounds.again.add(uid)
  rounds.invoked.clear()
}

/** Whether the object is another now. Throws a 500 when the patch cannot be applied. */
async function applyPatch(operations: readonly unknown[], patchType: string, { hook, row, object }: Invocation, own: KindRow, request: AdmissionRequest, api: AdmissionApi, place: string): Promise<boolean> {
  if (operations.length === 0) return false
  if (!object) throw internal(`admission webhook ${JSON.stringify(hook.name)} attempted to modify the object, which is not supported for this operation`)
  if (patchType !== 'JSONPatch') throw internal(`failed calling webhook ${JSON.stringify(hook.name)}: unsupported patch type ${JSON.stringify(patchType)}`)
  const patched = applyJsonPatch(cloneJson(object) as Json, operations)
  if (!patched.ok) throw internal(patched.message.replace(/^the server rejected our request due to an error in our request: /, ''))
  const made = patched.value as KubeObject
  const replaced = api.replace(row === own || object === request.object ? made : await convertBetween(row, own, made))
  if (!replaced.ok) throw internal(replaced.message)
  api.annotate(`patch.webhook.admission.k8s.io/${place}`, JSON.stringify({ configuration: hook.configuration, webhook: hook.name, patch: operations, patchType }), 'Request')
  return replaced.changed
}
