/** Why a container could not be started: `reason` is what the API shows as its waiting reason. */
import { CodedError } from '#base/errors.ts'

export type StartReason =
  | 'ErrImagePull' | 'ErrImageNeverPull' | 'InvalidImageName' | 'ImageInspectError'
  | 'CreateContainerConfigError' | 'CreateContainerError' | 'RunContainerError' | 'PostStartHookError'

export class StartError extends CodedError {
  readonly reason: StartReason

  constructor(reason: StartReason, message: string, options: { cause?: unknown } = {}) {
    super(reason, message, options)
    this.name = 'StartError'
    this.reason = reason
  }
}
