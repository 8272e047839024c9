import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '#api/client/client.ts'
import { systemClock } from '#base/clock.ts'
import { seededRandom } from '#base/random.ts'
import { PODS, type KubeObject } from '#api/types/index.ts'
import { admissionApi, admissionRequest } from '../admission.test-support.ts'
import { httpsServer } from '../webhook-client/https-server.test-support.ts'
import { imagePolicyWebhook, parseImagePolicy } from './image-policy-webhook.ts'

const pod = (image: string) => ({ metadata: { name: 'p', annotations: { 'x.image-policy.k8s.io/ticket': '7', private: 'x' } }, spec: { containers: [{ name: 'c', image }] } }) as KubeObject

test('the server is asked once for each set of images, and its word is told', async () => {
  const server = await httpsServer((request, res) => {
    const review = JSON.parse(request.body) as { spec: { containers: { image: string }[] } }
    const allowed = review.spec.containers.every((c) => c.image.startsWith('good/'))
    res.end(JSON.stringify({ status: { allowed, ...(!allowed && { reason: 'not signed' }), auditAnnotations: { seen: 'yes' } } }))
  })
  try {
    const config = { server: { config: { url: `https://127.0.0.1:${server.port}/review`, caBundle: server.caBundle }, identity: {} }, allowSeconds: 60, denySeconds: 60, defaultAllow: false }
    const plugin = imagePolicyWebhook(config, { clock: systemClock, random: seededRandom(1) })
    const told: string[] = []
    const api = admissionApi({} as Client, { annotate: (key, value) => { told.push(`${key}=${value}`) } })
    const ask = async (image: string) => (await plugin.validate?.(admissionRequest({ ref: PODS, object: pod(image) }), api))?.message
    deepStrictEqual([await ask('good/a'), await ask('good/a'), await ask('bad/b')], [undefined, undefined, 'image policy webhook backend denied one or more images: not signed'])
    deepStrictEqual(told, Array.from({ length: 3 }, () => 'imagepolicywebhook.image-policy.k8s.io/seen=yes'))
    deepStrictEqual(server.received.map((r) => (JSON.parse(r.body) as { spec: object }).spec), ['good/a', 'bad/b'].map((image) => ({ containers: [{ image }], annotations: { 'x.image-policy.k8s.io/ticket': '7' }, namespace: 'default' })))
  } finally {
    await server.close()
  }
})

test('a server that cannot be asked refuses, or lets through and says so', async () => {
  const at = { config: { url: 'https://127.0.0.1:1/' }, identity: {} }
  const outcome = async (defaultAllow: boolean) => {
    const object = pod('a')
    const plugin = imagePolicyWebhook({ server: at, allowSeconds: 1, denySeconds: 1, defaultAllow }, { clock: systemClock, random: seededRandom(1) })
    const refusal = await plugin.validate?.(admissionRequest({ ref: PODS, object }), admissionApi({} as Client))
    return [refusal?.code, object.metadata?.annotations?.['alpha.image-policy.k8s.io/failed-open']]
  }
  deepStrictEqual([await outcome(false), await outcome(true)], [[403, undefined], [undefined, 'true']])
})

test('its configuration says what is wrong', () => {
  const server = { config: { url: 'https://x' }, identity: {} }
  const of = (imagePolicy: object | undefined) => {
    const parsed = parseImagePolicy({ imagePolicy }, () => server)
    return parsed.ok ? parsed.config : parsed.message
  }
  deepStrictEqual([of(undefined), of({}), of({ kubeConfigFile: 'k', denyTTL: 'x' }), of({ kubeConfigFile: 'k', allowTTL: 50, denyTTL: -1 })], [
    'imagePolicy: Required value', 'imagePolicy.kubeConfigFile: Required value', 'imagePolicy.denyTTL: Invalid value: "x": must be a number of seconds up to 1800', { server, allowSeconds: 50, denySeconds: 0, defaultAllow: false },
  ])
})
