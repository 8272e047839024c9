/** Why a container could not be started: `reason` is what the API shows as its waiting reason. */
import { CodedError } from '#base/errors.ts'

export type StartReason =
  | 'ErrImagePull' | 'ErrImageNeverPull' | 'InvalidImageName' | 'ImageInspectError'
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
