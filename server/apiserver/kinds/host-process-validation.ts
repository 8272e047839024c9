/** Windows' HostProcess containers (upstream `validateWindowsHostProcessPod`): all of a pod or none, and on the host's network. */
import type { PodSpec } from '#api/types/index.ts'
import { type FieldError, invalid } from '../field-error.ts'
import { containersOf } from './containers-of.ts'

export function validateHostProcess(at: string, spec: PodSpec): FieldError[] {
  const ofPod = spec.securityContext?.windowsOptions?.hostProcess
  const containers = containersOf(at, spec)
  const out: FieldError[] = []
  let count = 0
  for (const [here, c] of containers) {
    const own = c.securityContext?.windowsOptions?.hostProcess
    if (ofPod !== undefined && own !== undefined && ofPod !== own) out.push(invalid(`${here}.securityContext.windowsOptions.hostProcess`, own, `pod hostProcess value must be identical if both are specified, was ${ofPod}`))
    if (own ?? ofPod) count++
  }
  if (count === 0) return out
  if (count !== containers.length) out.push(invalid(at, '', 'If pod contains any hostProcess containers then all containers must be HostProcess containers'))
  if (!spec.hostNetwork) out.push(invalid(`${at}.hostNetwork`, false, 'hostNetwork must be true if pod contains any hostProcess containers'))
  return out
}
