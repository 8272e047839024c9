/** Which runtimes mount images as volumes. Older ones would overlook `Mount.image` and mount a host path of no name. */
import { CodedError } from '#base/errors.ts'

const SINCE: Record<string, { major: number; minor: number }> = { containerd: { major: 2, minor: 1 }, 'cri-o': { major: 1, minor: 31 } }

/** Throws CRI_INVALID, naming the runtime and the version that could. One that is not in the table is asked. */
export function checkMountsImages({ runtimeName, runtimeVersion }: { runtimeName: string; runtimeVersion: string }): void {
  const since = SINCE[runtimeName]
  const told = /^v?(\d+)\.(\d+)/.exec(runtimeVersion)
  if (!since || !told) return
  const [major, minor] = [Number(told[1]), Number(told[2])]
  if (major > since.major || (major === since.major && minor >= since.minor)) return
  throw new CodedError('CRI_INVALID', `ImageVolumeMountFailed: ${runtimeName} ${runtimeVersion} cannot mount images: image volumes need ${runtimeName} ${since.major}.${since.minor} or newer, or skiff's own runtime`)
}
