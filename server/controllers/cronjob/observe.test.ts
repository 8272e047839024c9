import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError, type Client } from '#api/client/client.ts'
import type { CronJob, Job, KubeObject, ResourceRef, Stored } from '#api/types/index.ts'
import { withoutGaps } from './observe.ts'

const META = { namespace: 'default', resourceVersion: '1', creationTimestamp: '2026-03-01T00:00:00Z' }
const cronJob = (active: string[], uid = 'cj'): Stored<CronJob> => ({ metadata: { ...META, name: 'cj', uid }, spec: { schedule: '* * * * *', jobTemplate: {} }, status: { active: active.map((name) => ({ name, uid: name })) } })
const job = (name: string, { ended = false, uid = name, owner = 'cj' } = {}): Stored<Job> => ({
  metadata: { ...META, name, uid, ownerReferences: [{ apiVersion: 'batch/v1', kind: 'CronJob', name: 'cj', uid: owner, controller: true }] },
  status: ended ? { conditions: [{ type: 'Complete', status: 'True' }] } : {},
})

/** What the server has, and what it was asked for. */
function server(...objects: (Stored<CronJob> | Stored<Job>)[]) {
  const asked: string[] = []
  const get = <T extends KubeObject>({ resource }: ResourceRef, name: string): Promise<Stored<T>> => {
    asked.push(`${resource}/${name}`)
    const found = objects.find((o) => o.metadata.name === name)
    return found ? Promise.resolve(found as Stored<T>) : Promise.reject(new ApiError({ code: 404, reason: 'NotFound', message: `${resource} "${name}" not found` }))
  }
  return { asked, client: { get } satisfies Pick<Client, 'get'> }
}

const names = (seen: Awaited<ReturnType<typeof withoutGaps>>) => seen && [seen.cronJob.status?.active?.map((a) => a.name), seen.jobs.map((j) => j.metadata.name)]

test('nobody is asked while both fit together', async () => {
  const { client, asked } = server()
  assert.deepEqual(names(await withoutGaps({ cronJob: cronJob(['a']), jobs: [job('a'), job('b', { ended: true })] }, client)), [['a'], ['a', 'b']])
  assert.deepEqual(asked, [])
})

test('a Job that is not active where the CronJob was read before it was started is active', async () => {
  const { client, asked } = server(cronJob(['a']))
  assert.deepEqual(names(await withoutGaps({ cronJob: cronJob([]), jobs: [job('a')] }, client)), [['a'], ['a']])
  assert.deepEqual(asked, ['cronjobs/cj'])
})

test('an active Job that was not heard of yet is there', async () => {
  const { client, asked } = server(job('a'))
  assert.deepEqual(names(await withoutGaps({ cronJob: cronJob(['a']), jobs: [] }, client)), [['a'], ['a']])
  assert.deepEqual(asked, ['jobs/a'])
})

test('a stranger stays one, and what is gone stays gone: another one of its name or somebody else\'s, too', async () => {
  assert.deepEqual(names(await withoutGaps({ cronJob: cronJob([]), jobs: [job('x')] }, server(cronJob([])).client)), [[], ['x']])
  for (const there of [[], [job('a', { uid: 'other' })], [job('a', { owner: 'other' })]]) assert.deepEqual(names(await withoutGaps({ cronJob: cronJob(['a']), jobs: [] }, server(...there).client)), [['a'], []])
})

test('a CronJob that is gone, or another one by now, is not looked at', async () => {
  for (const there of [[], [cronJob([], 'other')]]) assert.equal(await withoutGaps({ cronJob: cronJob([]), jobs: [job('a')] }, server(...there).client), undefined)
})
