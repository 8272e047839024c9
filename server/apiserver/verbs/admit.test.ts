import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import type { KubeObject } from '#api/types/index.ts'
import type { AdmissionPlugin } from '../admission.ts'
import { inOrder } from '../admission/order.ts'
import { CM, configMap, harness, PODS } from '../app.test-support.ts'

const seen = (log: string[], name: string, over: Partial<AdmissionPlugin> = {}): AdmissionPlugin => ({
  name,
  mutate: ({ operation, reinvocation }) => { log.push(`${name} ${operation}${reinvocation.isSecond ? ' again' : ''}`); return Promise.resolve(undefined) },
  ...over,
})

test('plugins run in upstream\'s order, strangers between its own and the webhooks', () => {
  const order = inOrder(['ResourceQuota', 'ValidatingAdmissionWebhook', 'NodePassword', 'MutatingAdmissionPolicy', 'CertificateApproval', 'NamespaceLifecycle', 'MutatingAdmissionWebhook'].map((name) => ({ name }))).map((p) => p.name)
  deepStrictEqual(order, ['NamespaceLifecycle', 'CertificateApproval', 'NodePassword', 'MutatingAdmissionPolicy', 'MutatingAdmissionWebhook', 'ValidatingAdmissionWebhook', 'ResourceQuota'])
})

test('a plugin that changed the object may have all mutating plugins run once more, not twice', async () => {
  const log: string[] = []
  const changer: AdmissionPlugin = {
    name: 'changer',
    mutate: ({ object, reinvocation }, api) => {
      log.push(`changer ${String(reinvocation.isSecond)} ${String(reinvocation.memory.get('n'))}`)
      reinvocation.memory.set('n', 1)
      reinvocation.request()
      deepStrictEqual(api.replace({ ...object, data: { k: 'new' } }), { ok: true, changed: !reinvocation.isSecond })
      return Promise.resolve(undefined)
    },
  }
  const h = harness({ admission: [seen(log, 'first'), changer] })
  const answer = await h.call('POST', CM, configMap('a'))
  deepStrictEqual([answer.status, answer.json['data'], log], [201, { k: 'new' }, ['first CREATE', 'changer false undefined', 'first CREATE again', 'changer true 1']])
})

test('what a plugin puts in the object\'s place is read as its kind, or refused with a reason', async () => {
  const results: unknown[] = []
  const plugin: AdmissionPlugin = {
    name: 'p',
    mutate: ({ object }, api) => {
      results.push(api.replace([]), api.replace({ ...object, data: { n: 7 } }), api.replace({ ...object, metadata: { ...object?.metadata, labels: { a: 'b' } }, strange: 1 }), object)
      return Promise.resolve(undefined)
    },
  }
  const h = harness({ admission: [plugin] })
  const { json } = await h.call('POST', CM, configMap('a'))
  deepStrictEqual([json['metadata']?.['labels'], json['strange']], [{ a: 'b' }, undefined])
  deepStrictEqual(results.slice(0, 3).map((r) => (r as { ok: boolean }).ok), [false, false, true])
})

test('admission knows what is done by the options of that, and no generated name before there is one', async () => {
  const asked: unknown[] = []
  const plugin: AdmissionPlugin = {
    name: 'p',
    mutate: ({ operation, name, options, kind, object }) => { asked.push(['mutate', operation, name, object?.metadata?.name, options, kind.kind]); return Promise.resolve(undefined) },
    validate: ({ operation, name, object }) => { asked.push(['validate', operation, name === object?.metadata?.name]); return Promise.resolve(undefined) },
  }
  const h = harness({ admission: [plugin] })
  await h.call('POST', `${CM}?fieldManager=me`, configMap('', { metadata: { generateName: 'g-' } }))
  await h.call('POST', CM, configMap('a'))
  await h.call('PATCH', `${CM}/a?dryRun=All&fieldValidation=Strict`, { data: { x: 'y' } }, { 'content-type': 'application/merge-patch+json' })
  await h.call('DELETE', `${CM}/a`, { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0, propagationPolicy: 'Background' })
  const create = { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1' }
  deepStrictEqual(asked, [
    ['mutate', 'CREATE', '', undefined, { ...create, fieldManager: 'me' }, 'ConfigMap'], ['validate', 'CREATE', true],
    ['mutate', 'CREATE', 'a', 'a', create, 'ConfigMap'], ['validate', 'CREATE', true],
    ['mutate', 'UPDATE', 'a', 'a', { kind: 'UpdateOptions', apiVersion: 'meta.k8s.io/v1', dryRun: ['All'], fieldValidation: 'Strict' }, 'ConfigMap'], ['validate', 'UPDATE', true],
    ['mutate', 'DELETE', 'a', undefined, { kind: 'DeleteOptions', apiVersion: 'meta.k8s.io/v1', gracePeriodSeconds: 0, propagationPolicy: 'Background' }, 'ConfigMap'], ['validate', 'DELETE', false],
  ])
})

test('subresources reach admission with what they speak, and an eviction is no deletion', async () => {
  const asked: [string, string, string, unknown][] = []
  const plugin: AdmissionPlugin = {
    name: 'p',
    mutate: ({ operation, subresource, kind, object }) => {
      asked.push([operation, subresource, `${kind.group}/${kind.version} ${kind.kind}`, subresource === 'scale' ? structuredClone((object as KubeObject & { spec?: unknown })?.spec) : undefined])
      if (subresource === 'scale') (object as KubeObject & { spec: { replicas: number } }).spec.replicas = 3
      return Promise.resolve(undefined)
    },
  }
  const h = harness({ admission: [plugin] })
  await h.call('POST', '/apis/apps/v1/namespaces/default/deployments', { metadata: { name: 'd' }, spec: { replicas: 1, selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [] } } } })
  const scaled = await h.call('PUT', '/apis/apps/v1/namespaces/default/deployments/d/scale', { kind: 'Scale', apiVersion: 'autoscaling/v1', metadata: { name: 'd', namespace: 'default' }, spec: { replicas: 2 } })
  await h.call('POST', PODS, { metadata: { name: 'p' }, spec: { containers: [] } })
  await h.call('POST', `${PODS}/p/binding`, { metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } })
  await h.call('POST', `${PODS}/p/eviction`, { metadata: { name: 'p' } })
  await h.call('GET', `${PODS}/p/proxy/x/y`)
  deepStrictEqual(scaled.json['spec'], { replicas: 3 })
  deepStrictEqual(asked, [
    ['CREATE', '', 'apps/v1 Deployment', undefined], ['UPDATE', 'scale', 'autoscaling/v1 Scale', { replicas: 2 }],
    ['CREATE', '', '/v1 Pod', undefined], ['CREATE', 'binding', '/v1 Binding', undefined], ['CREATE', 'eviction', 'policy/v1 Eviction', undefined], ['CONNECT', 'proxy', '/v1 PodProxyOptions', undefined],
  ])
})
