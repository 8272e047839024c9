/** What a pod of one operating system may not ask for (upstream `validateLinux`, `validateWindows`). */
import type { Container, PodSpec } from '#api/types/index.ts'
import { type FieldError, forbidden, notSupported, required } from '../field-error.ts'

const NOT_ON_WINDOWS_SPEC = ['hostPID', 'hostIPC', 'hostUsers', 'shareProcessNamespace'] as const
const NOT_ON_WINDOWS_POD = ['appArmorProfile', 'seLinuxOptions', 'seccompProfile', 'fsGroup', 'fsGroupChangePolicy', 'sysctls', 'runAsUser', 'runAsGroup', 'supplementalGroups', 'supplementalGroupsPolicy', 'seLinuxChangePolicy'] as const
const NOT_ON_WINDOWS_CONTAINER = ['appArmorProfile', 'seLinuxOptions', 'seccompProfile', 'capabilities', 'readOnlyRootFilesystem', 'privileged', 'allowPrivilegeEscalation', 'procMount', 'runAsUser', 'runAsGroup'] as const

export function validateOs(at: string, spec: PodSpec): FieldError[] {
  const os = spec.os?.name
  const containers = (['initContainers', 'containers', 'ephemeralContainers'] as const).flatMap((key) => ((spec[key] ?? []) as Container[]).map((c, i): [string, Container] => [`${at}.${key}[${i}]`, c]))
  if (os === 'linux') return validateLinux(at, spec, containers)
  if (os === 'windows') return validateWindows(at, spec, containers)
  if (!spec.os) return []
  return os ? [notSupported(`${at}.os`, os, ['linux', 'windows'])] : [required(`${at}.os.name`)]
}

function validateLinux(at: string, spec: PodSpec, containers: readonly [string, Container][]): FieldError[] {
  const refused = (here: string): FieldError => forbidden(`${here}.securityContext.windowsOptions`, 'windows options cannot be set for a linux pod')
  return [...(spec.securityContext?.windowsOptions ? [refused(at)] : []), ...containers.flatMap(([here, c]) => (c.securityContext?.windowsOptions ? [refused(here)] : []))]
}

function validateWindows(at: string, spec: PodSpec, containers: readonly [string, Container][]): FieldError[] {
  const refuse = <T extends object>(here: string, of: T | undefined, keys: readonly (keyof T & string)[]): FieldError[] => {
    return keys.flatMap((key) => {
      const value: unknown = of?.[key]
      return value === undefined || value === null || (key === 'sysctls' && Array.isArray(value) && value.length === 0) ? [] : [forbidden(`${here}.${key}`, 'cannot be set for a windows pod')]
    })
  }
  return [
    ...refuse(at, spec, NOT_ON_WINDOWS_SPEC.filter((key) => key === 'hostUsers' || key === 'shareProcessNamespace' || spec[key] === true)),
    ...refuse(`${at}.securityContext`, spec.securityContext, NOT_ON_WINDOWS_POD),
    ...containers.flatMap(([here, c]) => refuse(`${here}.securityContext`, c.securityContext, NOT_ON_WINDOWS_CONTAINER)),
  ]
}
