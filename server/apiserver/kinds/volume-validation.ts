/** Validation of a pod's volumes (upstream `ValidateVolumes`): exactly one source each, paths that stay inside the mount. */
import type {
  ClusterTrustBundleProjection, ConfigMapProjection, ConfigMapVolumeSource, DownwardAPIVolumeFile, DownwardAPIVolumeSource, EmptyDirVolumeSource, EphemeralVolumeSource, ImageVolumeSource, KeyToPath, ObjectMeta,
  PersistentVolumeClaimVolumeSource, ProjectedVolumeSource, SecretVolumeSource, Volume, VolumeProjection,
} from '#api/types/index.ts'
import { checkConfigKey, checkDnsLabel, checkDnsSubdomain } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, required } from '../field-error.ts'
import { checkLabels, checkLabelSelector, named, oneOf, quantity, requiredName } from './check.ts'
import { validateClaimSpec } from './claim-validation.ts'
import { checkTrustBundleName } from './cluster-trust-bundle.ts'
import { validateFieldRef, validateResourceFieldRef, VOLUME_FIELDS } from './field-ref-validation.ts'
import { validateAnnotations } from './object-meta.ts'
import { localFilePath } from './path-validation.ts'
import { validateSignerName } from './signer-name.ts'
import { validatePodCertificate } from './pod-certificate-projection.ts'
import { hostPath, isEmpty, podPlugins, type SourceCheck, type SourceTable, validateSources } from './volume-plugin-validation.ts'

const MODE = 'must be a number between 0 and 0777 (octal), both inclusive'
/** Shortest life of a projected token, upstream's. */
const TOKEN_SECONDS_MIN = 600

export interface CheckedVolumes { errors: FieldError[]; /** Volumes without fault, by name: what mounts may refer to. */ valid: ReadonlyMap<string, Volume> }

/** `pod`: its name where it is known, for the claims that ephemeral volumes make. */
export function validateVolumes(at: string, volumes: readonly Volume[], pod: string | undefined): CheckedVolumes {
  const valid = new Map<string, Volume>()
  const errors: FieldError[] = []
  const created = new Set(pod ? volumes.filter((v) => v.ephemeral).map((v) => `${pod}-${v.name}`) : [])
  for (const [i, volume] of volumes.entries()) {
    const here = `${at}[${i}]`
    const found = [...validateSources(here, volume, SOURCES, volume.name ?? ''), ...requiredName(`${here}.name`, volume.name, checkDnsLabel)]
    if (pod && volume.ephemeral && volume.name) found.push(...checkDnsSubdomain(`${pod}-${volume.name}`).map((m) => invalid(`${here}.name`, volume.name, `PVC name ${JSON.stringify(`${pod}-${volume.name}`)}: ${m}`)))
    if (valid.has(volume.name)) found.push(duplicate(`${here}.name`, volume.name))
    if (found.length === 0) valid.set(volume.name, volume)
    errors.push(...found)
    const claim = volume.persistentVolumeClaim?.claimName
    if (claim && created.has(claim)) errors.push(invalid(`${here}.persistentVolumeClaim.claimName`, claim, 'must not reference a PVC that gets created for an ephemeral volume'))
  }
  return { errors, valid }
}

/** What may be said of a source whose type is known. */
const typed = <T>(check: (at: string, source: T) => FieldError[]): SourceCheck => (at, source) => check(at, source as T)

const SOURCES: SourceTable = [
  ['emptyDir', typed<EmptyDirVolumeSource>((at, { sizeLimit }) => (sizeLimit !== undefined && quantity(at, sizeLimit).length > 0 ? [forbidden(`${at}.sizeLimit`, 'SizeLimit field must be a valid resource quantity')] : []))],
  ['hostPath', hostPath],
  podPlugins.gitRepo,
  podPlugins.gcePersistentDisk,
  podPlugins.awsElasticBlockStore,
  ['secret', typed<SecretVolumeSource>((at, secret) => [...(secret.secretName ? [] : [required(`${at}.secretName`)]), ...validateMode(`${at}.defaultMode`, secret.defaultMode), ...validateItems(`${at}.items`, secret.items)])],
  podPlugins.nfs,
  podPlugins.iscsi,
  podPlugins.glusterfs,
  podPlugins.flocker,
  ['persistentVolumeClaim', typed<PersistentVolumeClaimVolumeSource>((at, claim) => (claim.claimName ? [] : [required(`${at}.claimName`)]))],
  podPlugins.rbd,
  podPlugins.cinder,
  podPlugins.cephfs,
  podPlugins.quobyte,
  ['downwardAPI', typed<DownwardAPIVolumeSource>((at, downward) => [...validateMode(`${at}.defaultMode`, downward.defaultMode), ...validateDownward(at, downward.items)]), { extraAt: 'downwarAPI' }],
  podPlugins.fc,
  podPlugins.flexVolume,
  ['configMap', typed<ConfigMapVolumeSource>((at, map) => [...(map.name ? [] : [required(`${at}.name`)]), ...validateMode(`${at}.defaultMode`, map.defaultMode), ...validateItems(`${at}.items`, map.items)])],
  podPlugins.azureFile,
  podPlugins.vsphereVolume,
  podPlugins.photonPersistentDisk,
  podPlugins.portworxVolume,
  podPlugins.azureDisk,
  podPlugins.storageos,
  ['projected', typed<ProjectedVolumeSource>((at, projected) => [...validateMode(`${at}.defaultMode`, projected.defaultMode), ...validateProjected(at, projected.sources ?? [])])],
  podPlugins.scaleIO,
  podPlugins.csi,
  ['ephemeral', typed<EphemeralVolumeSource>((at, { volumeClaimTemplate: template }) => {
    const here = `${at}.volumeClaimTemplate`
    return template ? [...validateTemplateMeta(`${here}.metadata`, template.metadata ?? {}), ...validateClaimSpec(`${here}.spec`, template.spec)] : [required(here)]
  })],
  ['image', typed<ImageVolumeSource>((at, image) => [...(image.reference ? [] : [required(`${at}.reference`)]), ...oneOf(`${at}.pullPolicy`, image.pullPolicy, ['Always', 'IfNotPresent', 'Never'], 'required')])],
]

/** Objects made from a template get its labels and annotations, nothing else. */
export function validateTemplateMeta(at: string, meta: ObjectMeta): FieldError[] {
  const extra = Object.entries(meta).filter(([key, value]) => key !== 'labels' && key !== 'annotations' && !isEmpty(value) && value !== 0)
  return [...validateAnnotations(`${at}.annotations`, meta.annotations), ...checkLabels(`${at}.labels`, meta.labels), ...extra.map(([key]) => forbidden(`${at}.${key === 'uid' ? 'uID' : key}`, 'cannot be set'))]
}

const validateMode = (at: string, mode: number | undefined): FieldError[] => (mode !== undefined && (mode < 0 || mode > 0o777) ? [invalid(at, mode, MODE)] : [])

function validateItems(at: string, items: readonly KeyToPath[] | undefined): FieldError[] {
  return (items ?? []).flatMap((item, i) => [
    ...(item.key ? [] : [required(`${at}[${i}].key`)]),
    ...(item.path ? localFilePath(`${at}[${i}].path`, item.path) : [required(`${at}[${i}].path`)]),
    ...validateMode(`${at}[${i}].mode`, item.mode),
  ])
}

function validateDownward(at: string, items: readonly DownwardAPIVolumeFile[] | undefined): FieldError[] {
  return (items ?? []).flatMap((item) => {
    const out = item.path ? localFilePath(`${at}.path`, item.path) : [required(`${at}.path`)]
    if (item.fieldRef) {
      out.push(...validateFieldRef(`${at}.fieldRef`, item.fieldRef, VOLUME_FIELDS))
      if (item.resourceFieldRef) out.push(invalid(at, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'))
    } else if (item.resourceFieldRef) {
      out.push(...validateResourceFieldRef(`${at}.resourceFieldRef`, item.resourceFieldRef, true))
    } else {
      out.push(required(at, 'one of fieldRef and resourceFieldRef is required'))
    }
    return [...out, ...validateMode(`${at}.mode`, item.mode)]
  })
}

/** Paths are one namespace over all sources; complaints about them, and of tokens about theirs, are made of the whole volume. */
function validateProjected(at: string, sources: readonly VolumeProjection[]): FieldError[] {
  const taken = new Set<string>()
  const out: FieldError[] = []
  const claim = (path: string | undefined, shown: string | undefined = path) => {
    if (!path) return
    if (taken.has(path)) out.push(invalid(at, shown, 'conflicting duplicate paths'))
    taken.add(path)
  }
  for (const [i, source] of sources.entries()) {
    const here = `${at}.sources[${i}]`
    for (const key of ['secret', 'configMap'] as const) {
      const ref: ConfigMapProjection | undefined = source[key]
      if (!ref) continue
      if (!ref.name) out.push(required(`${here}.${key}.name`))
      out.push(...validateItems(`${here}.${key}.items`, ref.items))
      for (const item of ref.items ?? []) claim(item.path, ref.name)
    }
    if (source.downwardAPI) {
      out.push(...validateDownward(`${here}.downwardAPI`, source.downwardAPI.items))
      for (const item of source.downwardAPI.items ?? []) claim(item.path)
    }
    const token = source.serviceAccountToken
    if (token) {
      const seconds = token.expirationSeconds ?? 0
      if (seconds < TOKEN_SECONDS_MIN) out.push(invalid(`${here}.serviceAccountToken.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'))
      else if (seconds > 2 ** 32) out.push(invalid(`${here}.serviceAccountToken.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds'))
      out.push(...(token.path ? localFilePath(`${at}.path`, token.path) : [required(`${at}.path`)]))
    }
    if (source.clusterTrustBundle) {
      out.push(...validateTrustBundle(`${here}.clusterTrustBundle`, source.clusterTrustBundle))
      claim(source.clusterTrustBundle.path)
    }
    if (source.podCertificate) {
      const { credentialBundlePath, keyPath, certificateChainPath } = source.podCertificate
      out.push(...validatePodCertificate(`${here}.podCertificate`, source.podCertificate))
      for (const path of [credentialBundlePath, keyPath, certificateChainPath]) claim(path)
    }
    if (Object.values(source).filter((s) => s !== undefined && s !== null).length > 1) out.push(forbidden(here, 'may not specify more than 1 volume type per source'))
  }
  return out
}

/** KEP-3257: one bundle by its name, or all of a signer by labels. */
function validateTrustBundle(at: string, bundle: ClusterTrustBundleProjection): FieldError[] {
  const { name, signerName, labelSelector, path } = bundle
  const out: FieldError[] = []
  if (name !== undefined && signerName !== undefined) {
    out.push(invalid(at, bundle, 'only one of name and signerName may be used'))
  } else if (name !== undefined) {
    if (name === '') out.push(required(`${at}.name`, 'must be a valid object name'))
    const parts = name.split(':')
    const signer = parts.length > 2 ? `${parts[0] ?? ''}/${parts[1] ?? ''}` : ''
    out.push(...checkTrustBundleName(name, signer).map((m) => invalid(`${at}.name`, name, `not a valid clustertrustbundlename: ${m}`)))
    if (labelSelector) out.push(invalid(`${at}.labelSelector`, labelSelector, 'labelSelector must be unset if name is specified'))
  } else if (signerName !== undefined) {
    if (signerName === '') out.push(required(`${at}.signerName`, 'must be a valid signer name'))
    out.push(...validateSignerName(`${at}.signerName`, signerName), ...checkLabelSelector(`${at}.labelSelector`, labelSelector))
  } else {
    out.push(required(at, 'either name or signerName must be specified'))
  }
  return [...out, ...(path ? [] : [required(`${at}.path`)]), ...localFilePath(`${at}.path`, path ?? '')]
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
