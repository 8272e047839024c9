import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { cluster, NS } from '../kinds/kinds.test-support.ts'

const template = { metadata: { labels: { a: 'b' } }, spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } }
const WARNING = '299 - "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning"'

test('who names no policy keeps what a Job or a ReplicationController made, and of Jobs is told so', async () => {
  const { call } = cluster()
  const kinds = { jobs: ['/apis/batch/v1/namespaces/default/jobs', { template }], rcs: [`${NS}/replicationcontrollers`, { template: { ...template, spec: { containers: template.spec.containers } } }], sets: ['/apis/apps/v1/namespaces/default/replicasets', { selector: { matchLabels: { a: 'b' } }, template: { ...template, spec: { containers: template.spec.containers } } }] } as const
  const told: Record<string, unknown[]> = {}
  for (const [name, [path, spec]] of Object.entries(kinds)) {
    const seen: unknown[] = (told[name] = [])
    for (const [i, policy] of [undefined, 'Background', 'Foreground', 'Orphan'].entries()) {
      await call('POST', path, { metadata: { name: `x${i}` }, spec })
      const { headers } = await call('DELETE', `${path}/x${i}`, policy && { propagationPolicy: policy })
      seen.push([(await call('GET', `${path}/x${i}`)).json['metadata']?.['finalizers'], headers['warning']])
    }
  }
  const asked = [[undefined, undefined], [['foregroundDeletion'], undefined], [['orphan'], undefined]]
  deepStrictEqual(told, { jobs: [[['orphan'], WARNING], ...asked], rcs: [[['orphan'], undefined], ...asked], sets: [[undefined, undefined], ...asked] })
})
