/** An API server as upstream's tests find it, in this process: all admission, a namespace with its service account. */
import { ok } from 'node:assert'
import type { Answer } from '#server/apiserver/app.test-support.ts'
import { type Cluster, fullCluster } from '#server/apiserver/kinds/kinds.test-support.ts'

export async function prepared(): Promise<Cluster> {
  const cluster = fullCluster()
  await cluster.create('/api/v1/namespaces', { metadata: { name: 'default' } })
  await cluster.create('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } })
  return cluster
}

/** A deletion may be 202: accepted, and finalizers are in the way. */
export async function good(answer: Promise<Answer>, status = 200): Promise<Answer> {
  const got = await answer
  ok(got.status === status || (status === 200 && got.status === 202), `${got.status} ${String(got.json['message'] ?? got.text)}`)
  return got
}
