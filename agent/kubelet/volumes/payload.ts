/** What the files of configMap, secret, downwardAPI and projected volumes are to hold. Pure: objects and tokens are handed in. */
import type { ConfigMap, ConfigMapProjection, DownwardAPIVolumeFile, KeyToPath, Secret, SecretProjection, ServiceAccountTokenProjection, Volume, VolumeProjection } from '#api/types/index.ts'
import { fieldValue, resourceFieldValue, type FieldContext } from '../field-ref.ts'

export interface FilePayload { data: Buffer; mode: number; /** Its owner, where that is not root. */ uid?: number }
/** By relative path. */
export type Payload = ReadonlyMap<string, FilePayload>
export type PayloadResult = { ok: true; payload: Payload } | { ok: false; message: string }

export interface PayloadSources {
  configMap: (name: string) => ConfigMap | undefined
  secret: (name: string) => Secret | undefined
  /** Requested before; the map is keyed as tokenKey says. */
  token: (projection: ServiceAccountTokenProjection) => string | undefined
  field: FieldContext
  /** With one, tokens are 0600 and then opened to the group by volume ownership. */
  fsGroup: number | undefined
  /** A runAsUser that all containers share owns tokens. */
  sameRunAsUser: number | undefined
}

const MODE_DEFAULT = 0o644

/** The plugin's directory name; undefined for volume types that hold no payload. */
export function payloadPlugin(volume: Volume): string | undefined {
  if (volume.configMap) return 'kubernetes.io~configmap'
  if (volume.secret) return 'kubernetes.io~secret'
  if (volume.downwardAPI) return 'kubernetes.io~downward-api'
  if (volume.projected) return 'kubernetes.io~projected'
  return undefined
}

export function volumePayload(volume: Volume, sources: PayloadSources): PayloadResult {
  const files = new Map<string, FilePayload>()
  const problem = fill(files, volume, sources)
  return problem === undefined ? { ok: true, payload: files } : { ok: false, message: problem }
}

function fill(files: Map<string, FilePayload>, volume: Volume, sources: PayloadSources): string | undefined {
  const { configMap, secret, downwardAPI, projected } = volume
  if (configMap) return fillConfigMap(files, configMap, configMap.defaultMode ?? MODE_DEFAULT, sources)
  if (secret) return fillSecret(files, { ...secret, ...(secret.secretName !== undefined && { name: secret.secretName }) }, secret.defaultMode ?? MODE_DEFAULT, sources)
  if (downwardAPI) return fillDownward(files, downwardAPI.items ?? [], downwardAPI.defaultMode ?? MODE_DEFAULT, sources)
  for (const source of projected?.sources ?? []) {
    const problem = fillProjection(files, source, projected?.defaultMode ?? MODE_DEFAULT, sources)
    if (problem !== undefined) return problem
  }
  return undefined
}

function fillProjection(files: Map<string, FilePayload>, source: VolumeProjection, mode: number, sources: PayloadSources): string | undefined {
  if (source.configMap) return fillConfigMap(files, source.configMap, mode, sources)
  if (source.secret) return fillSecret(files, source.secret, mode, sources)
  if (source.downwardAPI) return fillDownward(files, source.downwardAPI.items ?? [], mode, sources)
  if (source.serviceAccountToken) {
    const token = sources.token(source.serviceAccountToken)
    if (token === undefined) return 'failed to fetch token'
    // Others must not read a token unless the pod's user or group is unknown to us.
    const tokenMode = sources.fsGroup !== undefined || sources.sameRunAsUser !== undefined ? 0o600 : mode
    files.set(source.serviceAccountToken.path, { data: Buffer.from(token), mode: tokenMode, ...(sources.sameRunAsUser !== undefined && { uid: sources.sameRunAsUser }) })
    return undefined
  }
  if (source.clusterTrustBundle) return source.clusterTrustBundle.optional ? undefined : 'clusterTrustBundle projections are not supported on this node'
  if (source.podCertificate) return 'podCertificate projections are not supported on this node'
  return undefined
}

function fillConfigMap(files: Map<string, FilePayload>, ref: ConfigMapProjection, mode: number, { configMap }: PayloadSources): string | undefined {
  const found = configMap(ref.name ?? '')
  if (!found) return ref.optional ? undefined : `configmap "${ref.name ?? ''}" not found`
  const data = new Map<string, Buffer>()
  for (const [key, value] of Object.entries(found.data ?? {})) data.set(key, Buffer.from(value))
  for (const [key, value] of Object.entries(found.binaryData ?? {})) data.set(key, Buffer.from(value, 'base64'))
  return pick(files, data, ref.items, mode, ref.optional ?? false, `configmap references non-existent config key: `)
}

function fillSecret(files: Map<string, FilePayload>, ref: SecretProjection, mode: number, { secret }: PayloadSources): string | undefined {
  const found = secret(ref.name ?? '')
  if (!found) return ref.optional ? undefined : `secret "${ref.name ?? ''}" not found`
  const data = new Map(Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')]))
  return pick(files, data, ref.items, mode, ref.optional ?? false, `references non-existent secret key: `)
}

function pick(files: Map<string, FilePayload>, data: Map<string, Buffer>, items: readonly KeyToPath[] | undefined, mode: number, optional: boolean, missing: string): string | undefined {
  if (!items || items.length === 0) {
    for (const [key, value] of data) files.set(key, { data: value, mode })
    return undefined
  }
  for (const item of items) {
    const value = data.get(item.key)
    if (value === undefined) {
      if (optional) continue
      return missing + item.key
    }
    files.set(item.path, { data: value, mode: item.mode ?? mode })
  }
  return undefined
}

function fillDownward(files: Map<string, FilePayload>, items: readonly DownwardAPIVolumeFile[], mode: number, { field }: PayloadSources): string | undefined {
  for (const item of items) {
    const value = item.fieldRef ? fieldValue(item.fieldRef, field) : item.resourceFieldRef ? resourceFieldValue(item.resourceFieldRef, field) : undefined
    if (value === undefined) return `downward API file ${item.path} refers to a field that does not exist`
    files.set(item.path, { data: Buffer.from(value), mode: item.mode ?? mode })
  }
  return undefined
}

/** Which objects a pod's volumes and environment refer to. */
export function referencedObjects(volumes: readonly Volume[]): { configMaps: string[]; secrets: string[] } {
  const configMaps = new Set<string>()
  const secrets = new Set<string>()
  for (const v of volumes) {
    if (v.configMap?.name) configMaps.add(v.configMap.name)
    if (v.secret?.secretName) secrets.add(v.secret.secretName)
    for (const s of v.projected?.sources ?? []) {
      if (s.configMap?.name) configMaps.add(s.configMap.name)
      if (s.secret?.name) secrets.add(s.secret.name)
    }
  }
  return { configMaps: [...configMaps], secrets: [...secrets] }
}
