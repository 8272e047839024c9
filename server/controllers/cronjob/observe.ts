/** What a CronJob and its Jobs are, where what informers have of the one and of the others does not fit together. */
import { isReason, type Client } from '#api/client/client.ts'
import { CRON_JOBS, JOBS, type CronJob, type Job, type KubeObject, type ResourceRef, type Stored } from '#api/types/index.ts'
import { controllerOf } from '../ownership.ts'
import { finishedOf } from './decide.ts'

export interface Seen { cronJob: Stored<CronJob>; jobs: readonly Stored<Job>[] }

/**
 * As upstream, the server is asked before a Job counts as nobody's, or as gone: either informer may be behind what this controller
 * wrote a moment ago. Undefined: the CronJob is gone.
 */
export async function withoutGaps({ cronJob, jobs }: Seen, client: Pick<Client, 'get'>, signal?: AbortSignal): Promise<Seen | undefined> {
  const { name, namespace = '', uid } = cronJob.metadata
  const read = async <T extends KubeObject>(ref: ResourceRef, of: string): Promise<Stored<T> | undefined> => {
    try {
      return await client.get<T>(ref, of, namespace, signal)
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined
      throw error
    }
  }
  const isActive = (of: CronJob, job: Stored<Job>) => of.status?.active?.some((a) => a.uid === job.metadata.uid) ?? false
  let newest = cronJob
  if (jobs.some((job) => !finishedOf(job) && !isActive(cronJob, job))) {
    const found = await read<CronJob>(CRON_JOBS, name)
    if (found?.metadata.uid !== uid) return undefined
    newest = found
  }
  const known = new Set(jobs.map((job) => job.metadata.uid))
  const unseen = (newest.status?.active ?? []).filter((a) => !known.has(a.uid ?? ''))
  const found = await Promise.all(unseen.map((a) => read<Job>(JOBS, a.name ?? '')))
  return { cronJob: newest, jobs: [...jobs, ...found.filter((job, i) => job !== undefined && job.metadata.uid === unseen[i]?.uid && controllerOf(job)?.uid === uid).map((job) => job as Stored<Job>)] }
}
