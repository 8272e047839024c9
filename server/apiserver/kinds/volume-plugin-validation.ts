/**
 * Where volumes come from, as tables: what each source demands, of a pod's volume and of a PersistentVolume's spec
 * (upstream `validateVolumeSource`, `ValidatePersistentVolumeSpec`). Exactly one source may be given; the first in
 * upstream's order counts as meant.
 */
import { checkDnsLabel, checkDnsSubdomain, rangeMessage } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts'
import { named, oneOf, requiredName } from './check.ts'
import { validateCsiDriverName } from './csi-driver-name.ts'
import { noBacksteps, descendingPath } from './path-validation.ts'

/** A source as it stands in the object: any of the plugins' types. */
export type Source = Readonly<Record<string, unknown>>
/** `volume`: the name of the volume it is of. */
export type SourceCheck = (at: string, source: Source, volume: string) => FieldError[]
/** Key of the source and its check, in upstream's order. `errorsAt`, `extraAt`: what upstream calls it in complaints about it, and about it being one too many. */
export type SourceTable = readonly (readonly [key: string, check: SourceCheck, names?: { errorsAt?: string; extraAt?: string }])[]

const HOST_PATH_TYPES = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket']
const BYTE_RANGE = rangeMessage(0, 255)
const PARTITION_RANGE = rangeMessage(1, 255)
/** `<volume name>:<target portal>` names the initiator's interface. */
const ISCSI_NAME_MAX = 64
const REGISTRIES = 'must be a host:port pair or multiple pairs separated by commas'

export const isEmpty = (value: unknown): boolean => value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const part = (source: Source, key: string): Source | undefined => {
  const value = source[key]
  return typeof value === 'object' && value !== null ? (value as Source) : undefined
}

/** Fields that must not be empty. */
const needs = (...keys: string[]): SourceCheck => (at, source) => keys.flatMap((key) => (isEmpty(source[key]) ? [required(`${at}.${key}`)] : []))
const all = (...checks: SourceCheck[]): SourceCheck => (at, source, volume) => checks.flatMap((check) => check(at, source, volume))
const range = (key: string, message: string): SourceCheck => (at, source) => {
  const value = source[key]
  return typeof value === 'number' && (value < 0 || value > 255) ? [invalid(`${at}.${key}`, value, message)] : []
}
/** A reference to a Secret, where it is given, names these. */
const secretNames = (key: string, ...fields: string[]): SourceCheck => (at, source) => {
  const ref = part(source, key)
  return ref ? fields.flatMap((field) => (isEmpty(ref[field]) ? [required(`${at}.${key}.${field}`)] : [])) : []
}

export function validateSources(at: string, object: object, table: SourceTable, volume: string): FieldError[] {
  const sources = object as Source
  const given = table.filter(([key]) => sources[key] !== undefined && sources[key] !== null)
  const [first, ...extra] = given
  if (!first) return [required(at, 'must specify a volume type')]
  const [key, check, names] = first
  return [
    ...check(`${at}.${names?.errorsAt ?? key}`, sources[key] as Source, volume),
    ...extra.map(([extraKey, , extraNames]) => forbidden(`${at}.${extraNames?.extraAt ?? extraKey}`, 'may not specify more than 1 volume type')),
  ]
}

export const hostPath: SourceCheck = (at, source) => {
  const path = text(source['path'])
  return path === '' ? [required(`${at}.path`)] : [...noBacksteps(`${at}.path`, path), ...oneOf(`${at}.type`, text(source['type']), HOST_PATH_TYPES)]
}

const nfs: SourceCheck = all(needs('server', 'path'), (at, source) => (text(source['path']).startsWith('/') ? [] : [invalid(`${at}.path`, text(source['path']), 'must be an absolute path')]))

const ISCSI_FORMATS = [[/^iqn/, /iqn\.\d{4}-\d{2}\.([a-zA-Z0-9\-.]+)(:[^,;*&$|\s]+)$/], [/^eui/, /^eui.[a-zA-Z0-9]{16}$/], [/^naa/, /^naa.[a-zA-Z0-9]{32}$/]] as const

function iscsiName(at: string, name: string, unknownForm: string): FieldError[] {
  const form = ISCSI_FORMATS.find(([prefix]) => prefix.test(name))
  if (!form) return [invalid(at, name, unknownForm)]
  return form[1].test(name) ? [] : [invalid(at, name, 'must be valid format')]
}

const STARTING_WITH = 'must be valid format starting with iqn, eui, or naa'
const iscsi = (longNameAt: (at: string, source: Source, volume: string) => [field: string, value: string], initiatorForm: string): SourceCheck => (at, source, volume) => {
  const out = needs('targetPortal', 'iqn')(at, source, volume)
  const iqn = text(source['iqn'])
  if (iqn !== '') out.push(...iscsiName(`${at}.iqn`, iqn, STARTING_WITH))
  out.push(...range('lun', BYTE_RANGE)(at, source, volume))
  if ((source['chapAuthDiscovery'] || source['chapAuthSession']) && !part(source, 'secretRef')) out.push(required(`${at}.secretRef`))
  const initiator = source['initiatorName']
  if (typeof initiator !== 'string') return out
  out.push(...iscsiName(`${at}.initiatorname`, initiator, initiatorForm))
  const [field, value] = longNameAt(at, source, volume)
  if (`${volume}:${text(source['targetPortal'])}`.length > ISCSI_NAME_MAX) out.push(invalid(field, value, 'Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.'))
  return out
}

const fc: SourceCheck = (at, source, volume) => {
  const [names, ids] = [!isEmpty(source['targetWWNs']), !isEmpty(source['wwids'])]
  const out: FieldError[] = []
  if (!names && !ids) out.push(required(`${at}.targetWWNs`, 'must specify either targetWWNs or wwids, but not both'))
  if (names && ids) out.push(invalid(`${at}.targetWWNs`, source['targetWWNs'], 'targetWWNs and wwids can not be specified simultaneously'))
  if (!names) return out
  return [...out, ...(source['lun'] === undefined ? [required(`${at}.lun`, 'lun is required if targetWWNs is specified')] : range('lun', BYTE_RANGE)(at, source, volume))]
}

const flocker: SourceCheck = (at, source) => {
  const [name, uuid] = [text(source['datasetName']), text(source['datasetUUID'])]
  return [
    ...(name === '' && uuid === '' ? [required(at, 'one of datasetName and datasetUUID is required')] : []),
    ...(name !== '' && uuid !== '' ? [invalid(at, 'resource', 'datasetName and datasetUUID can not be specified simultaneously')] : []),
    ...(name.includes('/') ? [invalid(`${at}.datasetName`, name, "must not contain '/'")] : []),
  ]
}

const quobyte: SourceCheck = all((at, source) => {
  const [registry, tenant] = [text(source['registry']), text(source['tenant'])]
  if (registry === '') return [required(`${at}.registry`, REGISTRIES)]
  if (tenant.length > 64) return [required(`${at}.tenant`, 'must be a UUID and may not exceed a length of 64 characters')]
  return registry.split(',').flatMap((pair) => (/^(\[[^[\]]*\]|[^:[\]]*):[^:[\]]*$/.test(pair) ? [] : [invalid(`${at}.registry`, registry, REGISTRIES)]))
}, needs('volume'))

/** Options of FlexVolumes may not look like Kubernetes' own. */
const flexVolume: SourceCheck = all(needs('driver'), (at, source) => Object.keys(part(source, 'options') ?? {}).flatMap((key) => {
  const namespace = `.${(key.includes('/') ? key.slice(0, key.indexOf('/')) : key).toLowerCase()}`
  return /\.(kubernetes|k8s)\.io$/.test(namespace) ? [invalid(`${at}.options[${key}]`, key, 'kubernetes.io and k8s.io namespaces are reserved')] : []
}))

const MANAGED_DISK = '/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}'
const BLOB_DISK = 'https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd'
const azureDisk: SourceCheck = all(needs('diskName', 'diskURI'), (at, source) => {
  const [kind, uri] = [source['kind'], text(source['diskURI'])]
  const out = [...oneOf(`${at}.cachingMode`, text(source['cachingMode']), ['None', 'ReadOnly', 'ReadWrite']), ...oneOf(`${at}.kind`, text(kind), ['Dedicated', 'Managed', 'Shared'])]
  if (kind === 'Managed' && !uri.startsWith('/subscriptions/')) out.push(notSupported(`${at}.diskURI`, uri, [MANAGED_DISK]))
  if (kind !== undefined && kind !== 'Managed' && !uri.startsWith('https://')) out.push(notSupported(`${at}.diskURI`, uri, [BLOB_DISK]))
  return out
})

const storageos: SourceCheck = (at, source) => [
  ...requiredName(`${at}.volumeName`, text(source['volumeName']), checkDnsLabel),
  ...(isEmpty(source['volumeNamespace']) ? [] : named(`${at}.volumeNamespace`, text(source['volumeNamespace']), checkDnsLabel)),
]

const namespaceOfEndpoints: SourceCheck = (at, source) => {
  const namespace = source['endpointsNamespace']
  if (typeof namespace !== 'string') return []
  return namespace === '' ? [invalid(`${at}.endpointsNamespace`, namespace, 'if the endpointnamespace is set, it must be a valid namespace name')] : named(`${at}.endpointsNamespace`, namespace, checkDnsLabel)
}

const csiSecret = (key: string): SourceCheck => (at, source) => {
  const ref = part(source, key)
  return ref ? [...requiredName(`${at}.${key}.name`, text(ref['name']), checkDnsSubdomain), ...requiredName(`${at}.${key}.namespace`, text(ref['namespace']), checkDnsLabel)] : []
}

const csiDriver: SourceCheck = (at, source) => validateCsiDriverName(`${at}.driver`, text(source['driver']))
const podCsiSecret: SourceCheck = (at, source) => {
  const ref = part(source, 'nodePublishSecretRef')
  if (!ref) return []
  const name = text(ref['name'])
  return name === '' ? [required(`${at}.nodePublishSecretRef.name`)] : named(`${at}.name`, name, checkDnsSubdomain)
}

/** The same for pods and PersistentVolumes. */
const shared = {
  gcePersistentDisk: ['gcePersistentDisk', all(needs('pdName'), range('partition', PARTITION_RANGE)), { errorsAt: 'persistentDisk' }],
  awsElasticBlockStore: ['awsElasticBlockStore', all(needs('volumeID'), range('partition', PARTITION_RANGE))],
  nfs: ['nfs', nfs],
  flocker: ['flocker', flocker],
  rbd: ['rbd', needs('monitors', 'image')],
  cephfs: ['cephfs', needs('monitors'), { extraAt: 'cephFS' }],
  quobyte: ['quobyte', quobyte],
  fc: ['fc', fc],
  flexVolume: ['flexVolume', flexVolume],
  vsphereVolume: ['vsphereVolume', needs('volumePath')],
  photonPersistentDisk: ['photonPersistentDisk', needs('pdID')],
  portworxVolume: ['portworxVolume', needs('volumeID')],
  azureDisk: ['azureDisk', azureDisk],
  scaleIO: ['scaleIO', needs('gateway', 'system', 'volumeName')],
} as const satisfies Record<string, SourceTable[number]>

/** Plugins of a pod's volumes; volume-validation.ts has the sources that are Kubernetes' own and puts them in order. */
export const podPlugins = {
  ...shared,
  gitRepo: ['gitRepo', all(needs('repository'), (at, source) => descendingPath(`${at}.directory`, text(source['directory'])))],
  iscsi: ['iscsi', iscsi((at, _source, volume) => [`${at.replace(/\.iscsi$/, '')}.name`, volume], STARTING_WITH)],
  glusterfs: ['glusterfs', needs('endpoints', 'path')],
  cinder: ['cinder', all(needs('volumeID'), secretNames('secretRef', 'name'))],
  azureFile: ['azureFile', needs('secretName', 'shareName')],
  storageos: ['storageos', all(storageos, secretNames('secretRef', 'name'))],
  csi: ['csi', all(csiDriver, podCsiSecret)],
} as const satisfies Record<string, SourceTable[number]>

/** Of a PersistentVolume; `volume` is its name. */
export const persistentVolumeSources: SourceTable = [
  ['hostPath', hostPath],
  shared.gcePersistentDisk,
  shared.awsElasticBlockStore,
  ['glusterfs', all(needs('endpoints', 'path'), namespaceOfEndpoints)],
  shared.flocker,
  shared.nfs,
  shared.rbd,
  shared.quobyte,
  shared.cephfs,
  ['iscsi', all(iscsi((at, source) => [`${at}.targetportal`, text(source['targetPortal'])], 'must be valid format'), secretNames('secretRef', 'name'))],
  ['cinder', all(needs('volumeID'), secretNames('secretRef', 'name', 'namespace'))],
  shared.fc,
  shared.flexVolume,
  ['azureFile', all(needs('secretName', 'shareName'), (at, source) => (source['secretNamespace'] === '' ? [required(`${at}.secretNamespace`)] : []))],
  shared.vsphereVolume,
  shared.photonPersistentDisk,
  shared.portworxVolume,
  shared.azureDisk,
  shared.scaleIO,
  ['local', (at, source) => (isEmpty(source['path']) ? [required(`${at}.path`)] : noBacksteps(`${at}.path`, text(source['path'])))],
  ['storageos', all(storageos, secretNames('secretRef', 'name', 'namespace'))],
  ['csi', all(csiDriver, needs('volumeHandle'), ...['controllerPublishSecretRef', 'controllerExpandSecretRef', 'nodePublishSecretRef', 'nodeExpandSecretRef'].map(csiSecret))],
]
