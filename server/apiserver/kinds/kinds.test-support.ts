/** The API server with the real table of kinds, for tests: what a client sends, what it gets. */
import { seededRandom } from '#base/random.ts'
import { systemClock } from '#base/clock.ts'
import type { AdmissionPlugin } from '../admission.ts'
import { defaultAdmission } from '../admission/index.ts'
import { ServiceAllocator } from '../allocators/service-allocator.ts'
import { type Answer, type Harness, harness } from '../app.test-support.ts'
import type { Allocator } from '../kind.ts'
import { rows, withAllocators } from '../registry.ts'

export const NS = '/api/v1/namespaces/default'
export const PODS = `${NS}/pods`

export interface Cluster extends Harness {
  /** Creates and wants a 201. */
  create(path: string, body: unknown): Promise<Answer>
}

/** Without plugins by default: then only kinds are at work. */
export function cluster(admission: readonly AdmissionPlugin[] = []): Cluster {
  const allocator = new ServiceAllocator({ serviceCidr: '10.43.0.0/16', reserved: ['10.43.0.10'], random: seededRandom(1) })
  const h = harness({ rows: withAllocators(rows, { services: allocator as unknown as Allocator }), admission })
  return {
    ...h,
    async create(path, body) {
      const answer = await h.call('POST', path, body)
      if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`)
      return answer
    },
  }
}

/** With everything a server has. */
export const fullCluster = (): Cluster => cluster(defaultAdmission({ clock: systemClock, random: seededRandom(2) }))

/** `field: message` of each cause of a 422, or what came instead. */
export function causes(answer: Answer): string[] {
  const list = (answer.json['details']?.['causes'] ?? []) as unknown as { field: string; message: string }[]
  return answer.status === 422 ? list.map((c) => `${c.field}: ${c.message}`) : [`${answer.status} ${String(answer.json['message'] ?? '')}`]
}

export const pod = (over: Record<string, unknown> = {}, spec: Record<string, unknown> = {}, container: Record<string, unknown> = {}): Record<string, unknown> => ({
  apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', ...over }, spec: { containers: [{ name: 'c', image: 'busybox:1.36', ...container }], ...spec },
})

export const template = (labels: Record<string, string> = { app: 'a' }, spec: Record<string, unknown> = {}): Record<string, unknown> => ({ metadata: { labels }, spec: { containers: [{ name: 'c', image: 'nginx' }], ...spec } })

export const MERGE = { 'content-type': 'application/merge-patch+json' }
