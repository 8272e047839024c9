/** Conversion between versions: nothing but the apiVersion, or a webhook. */
import { apiVersionOf, type KubeObject } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import { unexplained } from '../http/status.ts'
import type { ClientConfig, WebhookClient } from '../webhook-client/index.ts'
import type { Definition } from './definition.ts'
import { equalJson } from '../storage/equal.ts'
import { cloneJson } from '../storage/clone.ts'
import { isJsonObject, type Json } from './schema/node.ts'

type Convertible = KubeObject & Json

export type Converter =
  | { strategy: 'None' }
  /** Throws a 500 with upstream's words, and no reason, as there. */
  | { strategy: 'Webhook'; convert(objects: readonly { from: string; object: Convertible }[], version: string): Promise<Convertible[]> }

/** Upstream's webhook client gives a conversion this long. */
const TIMEOUT_MS = 30_000

export interface ConversionParts { webhooks: () => WebhookClient; uid: () => string }

export function createConverter({ conversion, group, names }: Pick<Definition, 'conversion' | 'group' | 'names'>, parts: ConversionParts): Converter {
  const webhook = conversion?.webhook
  if (conversion?.strategy !== 'Webhook' || !webhook) return { strategy: 'None' }
  const config = (webhook.clientConfig ?? {}) as ClientConfig
  const reviewVersion = webhook.conversionReviewVersions.find((v) => v === 'v1' || v === 'v1beta1')
  return {
    strategy: 'Webhook',
    async convert(objects, version) {
      const apiVersion = apiVersionOf({ group, version })
      const of = `${group}/${objects[0]?.from ?? ''}, Kind=${names.kind}`
      if (reviewVersion === undefined) throw unexplained('no supported conversion review versions')
      const uid = parts.uid()
      const sent = objects.map(({ from, object }) => withTypeMeta(object, { apiVersion: apiVersionOf({ group, version: from }), kind: names.kind }))
      const review = { kind: 'ConversionReview', apiVersion: `apiextensions.k8s.io/${reviewVersion}`, request: { uid, desiredAPIVersion: apiVersion, objects: sent }, response: { uid: '', convertedObjects: null, result: { metadata: {} } } }
      let answer: unknown
      try {
        answer = await parts.webhooks().call({ config, body: Buffer.from(JSON.stringify(review)), timeoutMs: TIMEOUT_MS, tellTimeout: true, signal: new AbortController().signal })
      } catch (error) {
        throw unexplained(`conversion webhook for ${of} failed: ${asError(error).message}`)
      }
      const read = readAnswer(answer, { uid, reviewVersion })
      if (!read.ok) throw unexplained(`conversion webhook for ${of} failed: ${read.message}`)
      if (read.objects.length !== sent.length) throw unexplained(`conversion webhook for ${of} returned ${read.objects.length} objects, expected ${sent.length}`)
      return read.objects.map((converted, i) => {
        const checked = restore(sent[i] as Convertible, converted, { apiVersion, group, version })
        if (typeof checked === 'string') throw unexplained(`conversion webhook for ${of} returned ${checked}`)
        return checked
      })
    },
  }
}

const withTypeMeta = (object: Convertible, names: { apiVersion: string; kind: string }): Convertible => ({ ...object, ...names })

function readAnswer(answer: unknown, expected: { uid: string; reviewVersion: string }): { ok: true; objects: unknown[] } | { ok: false; message: string } {
  const { kind, apiVersion, response } = (isJsonObject(answer) ? answer : {}) as { kind?: string; apiVersion?: string; response?: { uid?: string; convertedObjects?: unknown[]; result?: { status?: string; message?: string } } }
  const wanted = `apiextensions.k8s.io/${expected.reviewVersion}`
  if (expected.reviewVersion === 'v1' && (kind !== 'ConversionReview' || apiVersion !== wanted)) return { ok: false, message: `expected webhook response of ${wanted}, Kind=ConversionReview, got ${apiVersion ?? ''}, Kind=${kind ?? ''}` }
  if (!response) return { ok: false, message: 'no response provided' }
  if (expected.reviewVersion === 'v1' && response.uid !== expected.uid) return { ok: false, message: `expected response.uid=${JSON.stringify(expected.uid)}, got ${JSON.stringify(response.uid ?? '')}` }
  const { status = '', message = '' } = response.result ?? {}
  if (status !== 'Success') return { ok: false, message: message === '' ? `response.result.status was '${status}', not 'Success'` : message }
  return { ok: true, objects: response.convertedObjects ?? [] }
}

/** The converted object with the original's metadata but for labels and annotations; or what is wrong with it. */
function restore(original: Convertible, given: unknown, to: { apiVersion: string; group: string; version: string }): Convertible | string {
  if (!isJsonObject(given)) return 'invalid converted object at index 0: it is no object'
  const converted = given as Convertible
  if (converted.apiVersion !== to.apiVersion) return `invalid object at index 0: invalid groupVersion (expected ${to.apiVersion}, received ${String(converted.apiVersion)})`
  if (converted.kind !== original.kind) return `invalid object at index 0: invalid kind (expected ${String(original.kind)}, received ${String(converted.kind)})`
  const { metadata } = converted
  if (metadata === undefined) return 'invalid metadata: missing metadata in converted object'
  if (!isJsonObject(metadata)) return `invalid metadata: invalid metadata of type ${typeof metadata} in converted object`
  const before = original.metadata ?? {}
  for (const [key, name] of [['name', 'name'], ['namespace', 'namespace'], ['uid', 'UID']] as const) {
    const [was, is] = [before[key] ?? '', (metadata as Json)[key] ?? '']
    if (is !== was) return `invalid object: must have the same ${name}: ${was} != ${typeof is === 'string' ? is : JSON.stringify(is)}`
  }
  const restored = cloneJson(before) as Json
  for (const key of ['labels', 'annotations']) {
    const wanted = metadata[key as 'labels']
    if (wanted === undefined || wanted === null) {
      delete restored[key]
      continue
    }
    if (!isJsonObject(wanted)) return `invalid metadata: invalid metadata.${key} of type ${typeof wanted} in converted object`
    for (const [name, value] of Object.entries(wanted as Json)) if (typeof value !== 'string') return `invalid metadata: metadata.${key}[${name}] must be a string, but is ${typeof value} in converted object`
    if (!equalJson(wanted, restored[key])) restored[key] = wanted
  }
  return { ...converted, metadata: restored }
}
