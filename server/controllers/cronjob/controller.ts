/** Wires the CronJob controller: which changes wake which key, and what decisions do. */
import { isReason } from '#api/client/client.ts'
import { CRON_JOBS, JOBS, keyOf, type CronJob, type Job, type Stored } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isNamespaceTerminating, isOrdinary, recorderFor, unlessGone, type ControllerFactory } from '../controller.ts'
import { BY_CONTROLLER, byController, controllerOf } from '../ownership.ts'
import { decideCronJob, referenceTo, SCHEDULED_AT, type CronJobAction, type CronJobView } from './decide.ts'
import { withoutGaps } from './observe.ts'
import { parseSchedule, type Parsed } from './schedule.ts'

export const cronJobController: ControllerFactory = (deps) => {
  const { client, informers } = deps
  const cronJobs = informers.of<CronJob>(CRON_JOBS)
  const jobs = informers.of<Job>(JOBS, { indexes: { [BY_CONTROLLER]: byController } })
  const recorder = recorderFor('cronjob-controller', deps)
  const schedules = new Map<string, { text: string; parsed: Parsed }>()

  const scheduleOf = async (key: string, { spec }: CronJob): Promise<Parsed> => {
    const text = JSON.stringify([spec?.schedule, spec?.timeZone])
    const known = schedules.get(key)
    if (known?.text === text) return known.parsed
    const { Cron } = await import('croner')
    const parsed = parseSchedule(Cron, spec?.schedule ?? '', spec?.timeZone)
    schedules.set(key, { text, parsed })
    return parsed
  }

  const loop = createLoop<CronJobView, CronJobAction>({
    name: 'cronjob-controller',
    async observe(key, signal) {
      const cronJob = cronJobs.get(key)
      if (!cronJob) return undefined
      await scheduleOf(key, cronJob)
      // Read again: what was waited for may have changed.
      const now = cronJobs.get(key)
      const seen = now && await withoutGaps({ cronJob: now, jobs: jobs.byIndex(BY_CONTROLLER, now.metadata.uid) }, client, signal)
      return seen && { ...seen, parsed: await scheduleOf(key, seen.cronJob) }
    },
    decide: decideCronJob,
    effects: ({ cronJob }) => {
      const { namespace = '' } = cronJob.metadata
      let latest = cronJob
      const writeStatus = async (status: CronJob['status'], signal: AbortSignal) => {
        latest = await client.update<CronJob>(CRON_JOBS, { ...latest, status: status ?? {} }, { subresource: 'status', signal })
      }
      const create = async (job: Job, signal: AbortSignal): Promise<Stored<Job> | undefined> => {
        try {
          const made = await client.create<Job>(JOBS, job, { signal })
          recorder.event(cronJob, 'Normal', 'SuccessfulCreate', `Created job ${made.metadata.name}`)
          deps.metrics?.cronJobSkew(Date.parse(made.metadata.creationTimestamp) - Date.parse(made.metadata.annotations?.[SCHEDULED_AT] ?? made.metadata.creationTimestamp))
          return made
        } catch (error) {
          if (isReason(error, 'AlreadyExists')) {
            const found = await client.get<Job>(JOBS, job.metadata?.name ?? '', namespace, signal)
            if (controllerOf(found)?.uid === cronJob.metadata.uid) return found
            recorder.event(cronJob, 'Warning', 'FailedCreate', `Error creating job: ${asError(error).message}`)
            return undefined
          }
          if (!isNamespaceTerminating(error)) recorder.event(cronJob, 'Warning', 'FailedCreate', `Error creating job: ${asError(error).message}`)
          throw error
        }
      }
      return {
        tell({ type, reason, message }) {
          recorder.event(cronJob, type, reason, message)
          return Promise.resolve()
        },
        async deleteJob({ job: { name, uid } }, signal) {
          await unlessGone(client.delete(JOBS, name, namespace, { propagationPolicy: 'Background', preconditions: { uid }, signal }))
          recorder.event(cronJob, 'Normal', 'SuccessfulDelete', `Deleted job ${name}`)
        },
        async createJob({ job, status }, signal) {
          const made = await create(job, signal)
          if (made) await writeStatus({ ...status, active: [...(status.active ?? []).filter((a) => a.uid !== made.metadata.uid), referenceTo(made)] }, signal)
        },
        writeStatus: ({ status }, signal) => writeStatus(status, signal),
      }
    },
    isOrdinary,
  }, deps)

  cronJobs.onChange((before, after) => {
    const changed = after ?? before
    if (!changed) return
    if (!after) schedules.delete(keyOf(changed))
    loop.queue.add(keyOf(changed))
  })
  jobs.onChange((before, after) => {
    for (const job of [before, after]) {
      const owner = job && controllerOf(job)
      if (owner?.kind === 'CronJob') loop.queue.add(`${job?.metadata.namespace ?? ''}/${owner.name}`)
    }
  })

  return {
    name: 'cronjob-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}
