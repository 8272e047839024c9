/** Volumes of the old in-tree plugins: what must be given, of a pod's volume or a PersistentVolume's spec (upstream `validateVolumeSource`). */
import { type FieldError, invalid, required } from '../field-error.ts'

/** Strings and lists without which the plugin can do nothing. */
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  gcePersistentDisk: ['pdName'], awsElasticBlockStore: ['volumeID'], gitRepo: ['repository'], iscsi: ['targetPortal', 'iqn'], glusterfs: ['endpoints', 'path'], flexVolume: ['driver'], cinder: ['volumeID'],
  cephfs: ['monitors'], rbd: ['monitors', 'image'], azureFile: ['secretName', 'shareName'], azureDisk: ['diskName', 'diskURI'], vsphereVolume: ['volumePath'], photonPersistentDisk: ['pdID'], portworxVolume: ['volumeID'],
  quobyte: ['registry', 'volume'], scaleIO: ['gateway', 'system', 'volumeName'],
}
const PARTITION = 'must be between 0 and 255, inclusive'

export function validatePluginSource(at: string, source: object): FieldError[] {
  const volume = source as Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>
  const out: FieldError[] = []
  for (const [key, fields] of Object.entries(REQUIRED)) {
    const plugin = volume[key]
    if (!plugin) continue
    for (const field of fields) if (isEmpty(plugin[field])) out.push(required(`${at}.${key}.${field}`))
  }
  for (const key of ['gcePersistentDisk', 'awsElasticBlockStore']) {
    const partition = volume[key]?.['partition']
    if (typeof partition === 'number' && (partition < 0 || partition > 255)) out.push(invalid(`${at}.${key}.partition`, partition, PARTITION))
  }
  return [...out, ...validateIscsi(`${at}.iscsi`, volume['iscsi']), ...validateFc(`${at}.fc`, volume['fc']), ...validateFlocker(`${at}.flocker`, volume['flocker'])]
}

const isEmpty = (value: unknown): boolean => value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)

type Plugin = Readonly<Record<string, unknown>> | undefined

function validateIscsi(at: string, iscsi: Plugin): FieldError[] {
  if (!iscsi) return []
  const out: FieldError[] = []
  const { iqn, lun } = iscsi
  if (typeof iqn === 'string' && iqn !== '' && !/^(iqn|eui|naa)/.test(iqn)) out.push(invalid(`${at}.iqn`, iqn, 'must be valid format starting with iqn, eui, or naa'))
  if (typeof lun === 'number' && (lun < 0 || lun > 255)) out.push(invalid(`${at}.lun`, lun, PARTITION))
  if ((iscsi['chapAuthDiscovery'] || iscsi['chapAuthSession']) && !iscsi['secretRef']) out.push(required(`${at}.secretRef`))
  return out
}

function validateFc(at: string, fc: Plugin): FieldError[] {
  if (!fc) return []
  const [names, ids, lun] = [!isEmpty(fc['targetWWNs']), !isEmpty(fc['wwids']), fc['lun']]
  if (!names && !ids) return [required(`${at}.targetWWNs`, 'must specify either targetWWNs or wwids, but not both')]
  if (names && ids) return [invalid(`${at}.targetWWNs`, fc['targetWWNs'], 'targetWWNs and wwids can not be specified simultaneously')]
  if (!names) return []
  if (lun === undefined) return [required(`${at}.lun`, 'lun is required if targetWWNs is specified')]
  return typeof lun === 'number' && (lun < 0 || lun > 255) ? [invalid(`${at}.lun`, lun, PARTITION)] : []
}

function validateFlocker(at: string, flocker: Plugin): FieldError[] {
  if (!flocker) return []
  const [name, uuid] = [!isEmpty(flocker['datasetName']), !isEmpty(flocker['datasetUUID'])]
  if (!name && !uuid) return [required(at, 'one of datasetName and datasetUUID is required')]
  if (name && uuid) return [invalid(at, 'resource', 'datasetName and datasetUUID can not be specified simultaneously')]
  return typeof flocker['datasetName'] === 'string' && flocker['datasetName'].includes('/') ? [invalid(`${at}.datasetName`, flocker['datasetName'], "must not contain '/'")] : []
}
