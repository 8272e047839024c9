/** Validation of a pod's volumes (upstream `ValidateVolumes`): exactly one source each, paths that stay inside the mount. */
import type { ConfigMapProjection, DownwardAPIVolumeFile, KeyToPath, PodSpec, Volume, VolumeProjection } from '#api/types/index.ts'
import { checkConfigKey, checkDnsLabel, checkDnsSubdomain } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, required } from '../field-error.ts'
import { named, oneOf, quantity, requiredName } from './check.ts'
import { validateClaimSpec } from './claim-validation.ts'
import { validatePluginSource } from './volume-plugin-validation.ts'
import { validateFieldRef, validateResourceFieldRef, VOLUME_FIELDS } from './field-ref-validation.ts'

const HOST_PATH_TYPES = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket']
const MODE = 'must be a number between 0 and 0777 (octal), both inclusive'
/** Shortest life of a projected token, upstream's. */
const TOKEN_SECONDS_MIN = 600

export function validateVolumes(at: string, spec: PodSpec): FieldError[] {
  const names = new Set<string>()
  return (spec.volumes ?? []).flatMap((volume, i) => {
    const here = `${at}[${i}]`
    const out = requiredName(`${here}.name`, volume.name, checkDnsLabel)
    if (names.has(volume.name)) out.push(duplicate(`${here}.name`, volume.name))
    names.add(volume.name)
    return [...out, ...validateSource(here, volume)]
  })
}

function validateSource(at: string, volume: Volume): FieldError[] {
  const sources = Object.entries(volume).filter(([key, source]) => key !== 'name' && source !== undefined && source !== null).map(([key]) => key)
  if (sources.length === 0) return [required(at, 'must specify a volume type')]
  const out: FieldError[] = sources.slice(1).map((extra) => forbidden(`${at}.${extra}`, 'may not specify more than 1 volume type'))
  if (volume.hostPath) {
    if (!volume.hostPath.path) out.push(required(`${at}.hostPath.path`))
    else if (volume.hostPath.path.split('/').includes('..')) out.push(invalid(`${at}.hostPath.path`, volume.hostPath.path, "must not contain '..'"))
    out.push(...oneOf(`${at}.hostPath.type`, volume.hostPath.type, HOST_PATH_TYPES))
  }
  if (volume.emptyDir?.sizeLimit !== undefined) out.push(...quantity(`${at}.emptyDir.sizeLimit`, volume.emptyDir.sizeLimit))
  if (volume.secret) {
    if (!volume.secret.secretName) out.push(required(`${at}.secret.secretName`))
    out.push(...validateMode(`${at}.secret.defaultMode`, volume.secret.defaultMode), ...validateItems(`${at}.secret.items`, volume.secret.items))
  }
  if (volume.configMap) {
    if (!volume.configMap.name) out.push(required(`${at}.configMap.name`))
    out.push(...validateMode(`${at}.configMap.defaultMode`, volume.configMap.defaultMode), ...validateItems(`${at}.configMap.items`, volume.configMap.items))
  }
  if (volume.downwardAPI) out.push(...validateMode(`${at}.downwardAPI.defaultMode`, volume.downwardAPI.defaultMode), ...validateDownward(`${at}.downwardAPI`, volume.downwardAPI.items))
  if (volume.projected) out.push(...validateMode(`${at}.projected.defaultMode`, volume.projected.defaultMode), ...validateProjected(`${at}.projected.sources`, volume.projected.sources ?? []))
  if (volume.persistentVolumeClaim && !volume.persistentVolumeClaim.claimName) out.push(required(`${at}.persistentVolumeClaim.claimName`))
  if (volume.nfs) {
    if (!volume.nfs.server) out.push(required(`${at}.nfs.server`))
    if (!volume.nfs.path) out.push(required(`${at}.nfs.path`))
    else if (!volume.nfs.path.startsWith('/')) out.push(invalid(`${at}.nfs.path`, volume.nfs.path, 'must be an absolute path'))
  }
  if (volume.csi) out.push(...requiredName(`${at}.csi.driver`, volume.csi.driver, checkDnsSubdomain))
  if (volume.ephemeral) {
    const template = volume.ephemeral.volumeClaimTemplate
    out.push(...(template ? validateClaimSpec(`${at}.ephemeral.volumeClaimTemplate.spec`, template.spec) : [required(`${at}.ephemeral.volumeClaimTemplate`)]))
  }
  out.push(...validatePluginSource(at, volume))
  if (volume.image) out.push(...oneOf(`${at}.image.pullPolicy`, volume.image.pullPolicy, ['Always', 'IfNotPresent', 'Never'], 'required'))
  return out
}

const validateMode = (at: string, mode: number | undefined): FieldError[] => (mode !== undefined && (mode < 0 || mode > 0o777) ? [invalid(at, mode, MODE)] : [])

function validateItems(at: string, items: readonly KeyToPath[] | undefined): FieldError[] {
  return (items ?? []).flatMap((item, i) => [
    ...(item.key ? [] : [required(`${at}[${i}].key`)]),
    ...(item.path ? validateFilePath(`${at}[${i}].path`, item.path) : [required(`${at}[${i}].path`)]),
    ...validateMode(`${at}[${i}].mode`, item.mode),
  ])
}

function validateDownward(at: string, items: readonly DownwardAPIVolumeFile[] | undefined): FieldError[] {
  return (items ?? []).flatMap((item) => {
    const out = item.path ? validateFilePath(`${at}.path`, item.path) : [required(`${at}.path`)]
    if (item.fieldRef) {
      out.push(...validateFieldRef(`${at}.fieldRef`, item.fieldRef, VOLUME_FIELDS))
      if (item.resourceFieldRef) out.push(invalid(at, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'))
    } else if (item.resourceFieldRef) {
      out.push(...validateResourceFieldRef(`${at}.resourceFieldRef`, item.resourceFieldRef, true))
    } else {
      out.push(required(at, 'fieldRef or resourceFieldRef is required'))
    }
    return [...out, ...validateMode(`${at}.mode`, item.mode)]
  })
}

function validateProjected(at: string, sources: readonly VolumeProjection[]): FieldError[] {
  const taken = new Set<string>()
  const out: FieldError[] = []
  const claim = (field: string, path: string | undefined) => {
    if (!path) return
    if (taken.has(path)) out.push(invalid(field, path, 'conflicting duplicate paths'))
    taken.add(path)
  }
  for (const [i, source] of sources.entries()) {
    const here = `${at}[${i}]`
    const kinds = Object.entries(source).filter(([, s]) => s !== undefined && s !== null).map(([key]) => key)
    if (kinds.length === 0) out.push(required(here, 'source must be specified'))
    for (const extra of kinds.slice(1)) out.push(forbidden(`${here}.${extra}`, 'may not specify more than 1 volume type per source'))
    for (const key of ['secret', 'configMap'] as const) {
      const ref: ConfigMapProjection | undefined = source[key]
      if (!ref) continue
      if (!ref.name) out.push(required(`${here}.${key}.name`))
      out.push(...validateItems(`${here}.${key}.items`, ref.items))
      for (const item of ref.items ?? []) claim(`${here}.${key}.items`, item.path)
    }
    if (source.downwardAPI) {
      out.push(...validateDownward(`${here}.downwardAPI`, source.downwardAPI.items))
      for (const item of source.downwardAPI.items ?? []) claim(`${here}.downwardAPI.items`, item.path)
    }
    const token = source.serviceAccountToken
    if (token) {
      const seconds = token.expirationSeconds ?? 0
      if (seconds < TOKEN_SECONDS_MIN) out.push(invalid(`${here}.serviceAccountToken.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'))
      else if (seconds > 2 ** 32) out.push(invalid(`${here}.serviceAccountToken.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds'))
      out.push(...(token.path ? validateFilePath(`${here}.serviceAccountToken.path`, token.path) : [required(`${here}.serviceAccountToken.path`)]))
      claim(`${here}.serviceAccountToken.path`, token.path)
    }
  }
  return out
}

/** A relative path without `..`. */
export function validateSubPath(at: string, path: string): FieldError[] {
  const out = path.startsWith('/') ? [invalid(at, path, 'must be a relative path')] : []
  return path.split('/').includes('..') ? [...out, invalid(at, path, "must not contain '..'")] : out
}

/** Besides, `..data` and its kind are the kubelet's own. */
function validateFilePath(at: string, path: string): FieldError[] {
  const out = validateSubPath(at, path)
  return path.startsWith('..') && !path.startsWith('../') && path !== '..' ? [...out, invalid(at, path, "must not start with '..'")] : out
}

/** Keys of ConfigMaps and Secrets with the size of all they hold. */
export function validateData(maps: Readonly<Record<string, Readonly<Record<string, string>> | undefined>>, sizeOf: (field: string, value: string) => number): { errors: FieldError[]; sizeBytes: number } {
  const errors: FieldError[] = []
  let sizeBytes = 0
  for (const [field, map] of Object.entries(maps)) {
    for (const [key, value] of Object.entries(map ?? {})) {
      errors.push(...named(`${field}[${key}]`, key, checkConfigKey))
      sizeBytes += sizeOf(field, value)
    }
  }
  return { errors, sizeBytes }
}
