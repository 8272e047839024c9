/** How the failures of a pod's volumes are told: with the step and the volume's own name, as upstream's operation_generator does. Pure. */
import { asError, CodedError } from '#base/errors.ts'

/** On a volume's way into a pod; those of devices have names of their own. */
export type VolumeStep = 'NewMounter initialization' | 'WaitForAttach' | 'MountDevice' | 'SetUp' | 'SetUpDevice' | 'MapPodDevice' | 'NodeAffinity check' | 'Setup' | 'MarkVolumeAsMounted'
/** What has grown is made larger in these. */
const EXPANDING: ReadonlySet<VolumeStep> = new Set<VolumeStep>(['Setup', 'MarkVolumeAsMounted'])

/** Code and message are the cause's. `specName`: the PersistentVolume's where there is one. */
export class VolumeStepError extends CodedError {
  readonly step: VolumeStep
  readonly specName: string
  constructor(step: VolumeStep, specName: string, cause: unknown) {
    super(cause instanceof CodedError ? cause.code : 'VOLUME_STEP', asError(cause).message, { cause })
    this.step = step
    this.specName = specName
  }
}

/** An inner step that failed has said so already. */
export async function inStep<T>(step: VolumeStep, specName: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof VolumeStepError ? error : new VolumeStepError(step, specName, error)
  }
}

/** Words for an Event. */
export interface VolumeFailure { reason: 'FailedMount' | 'FailedMapVolume'; message: string }

/** Of a pod: all that failed, each as an Event tells it. The message is theirs together. */
export class VolumeError extends CodedError {
  readonly failures: readonly VolumeFailure[]
  constructor(failures: readonly VolumeFailure[], options: { cause?: unknown } = {}) {
    super('VOLUME_FAILED', failures.map((f) => f.message).join('; '), options)
    this.failures = failures
  }
}

/** Code of a volume that is not attached since its node has as many as it can have. */
export const ATTACH_LIMIT = 'CSI_ATTACH_LIMIT'
/** So long pods wait for their volumes before they are taken to be too many: upstream's podAttachAndMountTimeout. */
const ATTACH_LIMIT_MS = 123_000

/** Why the node cannot have such a pod; undefined: it may yet. `waitedMs`: for the volume. */
export function attachLimitProblem(failed: readonly (FailedVolume & { waitedMs: number })[]): string | undefined {
  if (!failed.some(({ error, waitedMs }) => error instanceof CodedError && error.code === ATTACH_LIMIT && waitedMs >= ATTACH_LIMIT_MS)) return undefined
  const unattached = failed.filter(({ error }) => error instanceof VolumeStepError && error.step === 'WaitForAttach')
  return `Node has reached its volume attachment limit, rejecting pod. unmounted volumes=${namesOf(failed)}, unattached volumes=${namesOf(unattached)}, failed to process volumes=[]: context deadline exceeded`
}

/** As Go prints them. */
const namesOf = (list: readonly FailedVolume[]): string => `[${list.map((f) => f.volume).toSorted().join(' ')}]`

export interface FailedVolume { volume: string; isDevice: boolean; error: unknown }

/** Claims that are not what they should be are told together: nothing could be tried with their volumes. */
export function volumeFailures(failed: readonly FailedVolume[]): VolumeFailure[] {
  const claims = failed.filter(({ error }) => error instanceof CodedError && error.code === 'VOLUME_CLAIM')
  const others = failed.filter((f) => !claims.includes(f)).map(({ volume, isDevice, error }): VolumeFailure => {
    const { step, specName }: Pick<VolumeStepError, 'step' | 'specName'> = error instanceof VolumeStepError ? error : { step: isDevice ? 'MapPodDevice' : 'SetUp', specName: volume }
    return { reason: isDevice ? 'FailedMapVolume' : 'FailedMount', message: `${isDevice ? 'MapVolume' : 'MountVolume'}.${step} failed${EXPANDING.has(step) ? ' while expanding volume' : ''} for volume "${specName}" : ${asError(error).message}` }
  })
  if (claims.length === 0) return others
  return [...others, { reason: 'FailedMount', message: `Unable to attach or mount volumes: unmounted volumes=${namesOf(failed)}, unattached volumes=[], failed to process volumes=${namesOf(claims)}: ${claims.map((f) => asError(f.error).message).join('; ')}` }]
}
