/**
 * A KubeletConfiguration as upstream's suite for nodes writes it, as flags of skiff: what `--kubelet-config` would make of it, but that a field which means
 * nothing here is not refused. It is told, so that whoever reads why a test failed sees what it did not get. Pure.
 */
import { kubeletFields } from '#server/cli/kubelet-config.ts'

export type KubeletConfiguration = Readonly<Record<string, unknown>>

/** Set by nobody: what stands in for the read-only port says of itself, what the cluster says, and what Go writes where nothing is set. */
const UNASKED = ['kind', 'address', 'readOnlyPort', 'clusterDNS', 'clusterDomain', 'staticPodPath', 'logging.flushFrequency']

export function flagsOf(config: KubeletConfiguration): { flags: string[]; without: string[] } {
  const { flags, problems } = kubeletFields(config, '/')
  return {
    flags: Object.entries(flags).flatMap(([flag, value]) => (value === '' ? [] : [`--${flag}=${[value].flat().join(',')}`])),
    without: problems.map(({ field }) => field).filter((field) => !UNASKED.includes(field)).toSorted(),
  }
}
