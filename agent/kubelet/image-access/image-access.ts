/** Keeps what is known of pulls, and answers by it who may use an image that is here (`access.ts`). */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import { KeyedLock } from '#base/keyed-lock.ts'
import type { Log } from '#base/log.ts'
import type { Image, ImageService } from '#cri/index.ts'
import type { KubeletConfig } from '../config.ts'
import type { MetricFamily } from '../stats/metrics-text.ts'
import { time } from '../time.ts'
import { asksForAccount, decideAccess, withCredentials, type AccessResult, type PullSecret, type PullServiceAccount } from './access.ts'
import { openImageRecords } from './image-records.ts'

export interface ImageAccess {
  /** `account`: asked only where it matters. */
  mayUse(image: string, present: Image, secrets: readonly PullSecret[], account?: () => Promise<PullServiceAccount | undefined>): Promise<boolean>
  /** Runs a pull, so that it is known afterwards, whatever happens meanwhile, that it was one. `with`: the secret or the account that it took; undefined: none, or the node's own. */
  pulling(image: string, pull: () => Promise<{ image: Image; with: PullSecret | PullServiceAccount | undefined }>): Promise<Image>
  /** Forgets images that are gone. */
  prune(): Promise<void>
  metrics(): MetricFamily[]
}

export interface ImageAccessDeps {
  runtime: Pick<ImageService, 'listImages' | 'imageStatus'>
  config: Pick<KubeletConfig, 'imageVerification' | 'imageVerificationAllowlist'>
  rootDir: string
  clock: Clock
  log: Log
}

export async function openImageAccess({ runtime, config, rootDir, clock, ...deps }: ImageAccessDeps): Promise<ImageAccess> {
  const log = deps.log.with('image-access')
  const records = await openImageRecords(rootDir, log)
  const results = new Map<AccessResult, number>()
  const lock = new KeyedLock()

  /** 'nobody': it is not known whose. `isNew`: it has just come, whatever was known before. */
  const note = (image: string, imageRef: string, source: PullSecret | PullServiceAccount | 'nobody' | undefined, isNew = false): Promise<void> => lock.run(imageRef, async () => {
    const credentials = source === 'nobody' ? undefined : source === undefined ? { nodePodsAccessible: true } : 'credentialHash' in source ? { kubernetesSecrets: [source] } : { kubernetesServiceAccounts: [source] }
    const before = isNew ? await records.kept(imageRef) : records.get(imageRef)
    const now = time(clock.nowMs())
    const after = withCredentials(before, { imageRef, image, credentials, now })
    // Who forgets images that are gone goes by the time.
    if (isNew || after !== before) await records.put({ ...after, lastUpdatedTime: now })
  })

  // Pulls that were cut off: some of those images came all the same.
  for (const image of records.unfinished) {
    const came = await runtime.imageStatus(image)
    if (came && !records.get(came.id)) await note(image, came.id, 'nobody')
    await records.settle(image)
  }

  return {
    async mayUse(image, present, secrets, account) {
      const record = records.get(present.id)
      const input = { policy: config.imageVerification, allowlist: config.imageVerificationAllowlist, image, record, isPulledHere: record !== undefined || records.isIntended(image), secrets }
      const first = decideAccess(input)
      const { result, learn } = first.result === 'mustAuthenticate' && account && asksForAccount(image, record) ? decideAccess({ ...input, account: await account() }) : first
      results.set(result, (results.get(result) ?? 0) + 1)
      if (learn) await note(image, present.id, learn).catch((error: unknown) => log.warn('what a pod may use is not remembered', { image, error: asError(error) }))
      return result !== 'mustAuthenticate'
    },
    async pulling(image, pull) {
      await records.intend(image)
      let came: Awaited<ReturnType<typeof pull>>
      try {
        came = await pull()
      } catch (error) {
        await records.settle(image).catch((problem: unknown) => log.warn('a pull that failed is not forgotten: pods show their credentials again', { image, error: asError(problem) }))
        throw error
      }
      try {
        await note(image, came.image.id, came.with, true)
        await records.settle(image)
      } catch (error) {
        // The intent stays: the next start makes a record of it.
        log.warn('it is not remembered how an image came here: pods show their credentials again', { image, error: asError(error) })
      }
      return came.image
    },
    async prune() {
      const sinceMs = clock.nowMs()
      await records.prune(new Set((await runtime.listImages()).map((i) => i.id)), sinceMs)
    },
    metrics: () => [{ name: 'kubelet_imagemanager_image_mustpull_checks_total', help: '[ALPHA] Counter for how many times kubelet checked whether credentials need to be re-verified to access an image', type: 'counter', samples: [...results].map(([result, value]) => ({ labels: { result }, value })) }],
  }
}
