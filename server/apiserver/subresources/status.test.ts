import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { createRequest, generateKey, NO_ALT_NAMES } from '#base/x509/index.ts'
import { cluster } from '../kinds/kinds.test-support.ts'

const merge = { 'content-type': 'application/merge-patch+json' }
const written = { labels: { from: 'status' }, annotations: { from: 'status' } }

interface Case { path: string; object: Record<string, unknown>; status: Record<string, unknown>; metadata: Record<string, unknown> }

const CASES: Record<string, Case> = {
  'a cron job\'s': { path: '/apis/batch/v1/namespaces/default/cronjobs', object: { spec: { schedule: '@daily', jobTemplate: { spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } } } } } }, status: { lastScheduleTime: '2026-01-01T00:00:00Z' }, metadata: written },
  'a deployment\'s annotations': { path: '/apis/apps/v1/namespaces/default/deployments', object: { spec: { selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } } } }, status: { observedGeneration: 1 }, metadata: { annotations: written.annotations } },
  'no flow schema\'s': { path: '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas', object: { spec: { priorityLevelConfiguration: { name: 'exempt' } } }, status: { conditions: [{ type: 'T', status: 'True' }] }, metadata: {} },
  'no service network\'s': { path: '/apis/networking.k8s.io/v1/servicecidrs', object: { spec: { cidrs: ['10.9.0.0/24'] } }, status: { conditions: [{ type: 'T', status: 'True', reason: 'R', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }] }, metadata: {} },
}

for (const [whose, { path, object, status, metadata }] of Object.entries(CASES)) {
  test(`/status writes labels and annotations: ${whose}`, async () => {
    const { call } = cluster()
    const { json: made } = await call('POST', path, { metadata: { name: 'x' }, ...object })
    const patched = await call('PATCH', `${path}/x/status`, { metadata: written, spec: null, status }, merge)
    deepStrictEqual([patched.status, patched.json['spec'], metadataOf(patched.json), owned(patched.json)], [200, made['spec'], metadata, Object.keys(metadata)])
  })
}

test('/approval writes metadata and conditions, and nothing else', async () => {
  const { call } = cluster()
  const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
  const request = Buffer.from(createRequest({ commonName: 'jane', organizations: [] }, NO_ALT_NAMES, await generateKey())).toString('base64')
  const { json: made } = await call('POST', path, { metadata: { name: 'x' }, spec: { request, signerName: 'example.com/a', usages: ['client auth'] } })
  const { json } = await call('PATCH', `${path}/x/approval`, { metadata: written, spec: { signerName: 'example.com/b' }, status: { certificate: 'eA==', conditions: [{ type: 'Mine', status: 'True' }] } }, merge)
  const { conditions, ...status } = json['status'] as unknown as { conditions: { type: string }[] }
  deepStrictEqual([json['spec'], metadataOf(json), conditions.map((c) => c.type), status], [made['spec'], written, ['Mine'], {}])
})

function metadataOf(object: Record<string, unknown>): Record<string, unknown> {
  const { labels, annotations } = object['metadata'] as Record<string, unknown>
  return { ...(labels !== undefined && { labels }), ...(annotations !== undefined && { annotations }) }
}

/** Parts of metadata that the manager of the status has. */
function owned(object: Record<string, unknown>): string[] {
  const { managedFields } = object['metadata'] as unknown as { managedFields: { subresource?: string; fieldsV1: { 'f:metadata'?: object } }[] }
  const fields = managedFields.find((f) => f.subresource === 'status')?.fieldsV1['f:metadata'] ?? {}
  return ['labels', 'annotations'].filter((name) => Object.hasOwn(fields, `f:${name}`))
}
