/** Why a container could not be started: `reason` is what the API shows as its waiting reason. */
import { CodedError } from '#base/errors.ts'

/** What the registry, or the image it sent, is to blame for: these are told of as ImagePullBackOff between two tries. */
export const PULL_FAILURES = ['ErrImagePull', 'RegistryUnavailable', 'SignatureValidationFailed'] as const
export type PullFailure = (typeof PULL_FAILURES)[number]
export const isPullFailure = (reason: string): reason is PullFailure => (PULL_FAILURES as readonly string[]).includes(reason)

export type StartReason =
  | PullFailure
  | 'ErrImageNeverPull' | 'InvalidImageName' | 'ImageInspectError'
  | 'CreateContainerConfigError' | 'CreateContainerError' | 'RunContainerError' | 'PostStartHookError'

export class StartError extends CodedError {
  readonly reason: StartReason
  /** Which image it is about, where that is not the container's own. */
  readonly image: string | undefined

  constructor(reason: StartReason, message: string, options: { cause?: unknown; image?: string } = {}) {
    super(reason, message, options)
    this.name = 'StartError'
    this.reason = reason
    this.image = options.image
  }
}
