/** What a pod of one operating system may not ask for (upstream `validateLinux`, `validateWindows`). */
import type { Container, PodSpec } from '#api/types/index.ts'
import { type FieldError, forbidden } from '../field-error.ts'

const NOT_ON_WINDOWS_SPEC = ['hostPID', 'hostIPC', 'hostUsers', 'shareProcessNamespace'] as const
const NOT_ON_WINDOWS_POD = ['appArmorProfile', 'seLinuxOptions', 'seccompProfile', 'fsGroup', 'fsGroupChangePolicy', 'sysctls', 'runAsUser', 'runAsGroup', 'supplementalGroups', 'supplementalGroupsPolicy'] as const
const NOT_ON_WINDOWS_CONTAINER = ['appArmorProfile', 'seLinuxOptions', 'seccompProfile', 'capabilities', 'readOnlyRootFilesystem', 'privileged', 'allowPrivilegeEscalation', 'procMount', 'runAsUser', 'runAsGroup'] as const
const SIGNALS_WINDOWS = ['SIGKILL', 'SIGTERM']

export function validateOs(at: string, spec: PodSpec): FieldError[] {
  const os = spec.os?.name
  const containers = (['initContainers', 'containers', 'ephemeralContainers'] as const).flatMap((key) => ((spec[key] ?? []) as Container[]).map((c, i): [string, Container] => [`${at}.${key}[${i}]`, c]))
  return [
    ...(os === 'linux' ? validateLinux(at, spec, containers) : os === 'windows' ? validateWindows(at, spec, containers) : []),
    ...containers.flatMap(([here, c]) => validateStopSignal(`${here}.lifecycle.stopSignal`, c.lifecycle?.stopSignal, os)),
  ]
}

function validateLinux(at: string, spec: PodSpec, containers: readonly [string, Container][]): FieldError[] {
  const refused = (here: string): FieldError => forbidden(`${here}.securityContext.windowsOptions`, 'windows options cannot be set for a linux pod')
  return [...(spec.securityContext?.windowsOptions ? [refused(at)] : []), ...containers.flatMap(([here, c]) => (c.securityContext?.windowsOptions ? [refused(here)] : []))]
}

function validateWindows(at: string, spec: PodSpec, containers: readonly [string, Container][]): FieldError[] {
  const refuse = <T extends object>(here: string, of: T | undefined, keys: readonly (keyof T & string)[]): FieldError[] => {
    return keys.flatMap((key) => {
      const value: unknown = of?.[key]
      return value === undefined || value === null || (Array.isArray(value) && value.length === 0) ? [] : [forbidden(`${here}.${key}`, 'cannot be set for a windows pod')]
    })
  }
  return [
    ...refuse(at, spec, NOT_ON_WINDOWS_SPEC.filter((key) => key === 'hostUsers' || key === 'shareProcessNamespace' || spec[key] === true)),
    ...refuse(`${at}.securityContext`, spec.securityContext, NOT_ON_WINDOWS_POD),
    ...containers.flatMap(([here, c]) => refuse(`${here}.securityContext`, c.securityContext, NOT_ON_WINDOWS_CONTAINER)),
  ]
}

function validateStopSignal(at: string, signal: string | undefined, os: string | undefined): FieldError[] {
  if (signal === undefined) return []
  if (!os) return [forbidden(at, 'may not be set for containers with empty `spec.os.name`')]
  if (os === 'windows' && !SIGNALS_WINDOWS.includes(signal)) return [{ type: 'FieldValueNotSupported', field: at, message: `Unsupported value: ${JSON.stringify(signal)}: supported values: ${SIGNALS_WINDOWS.map((s) => JSON.stringify(s)).join(', ')}` }]
  return []
}
