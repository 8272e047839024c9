/** What the files of configMap, secret, downwardAPI and projected volumes are to hold. Pure: objects and tokens are handed in. */
import type { ConfigMap, ConfigMapProjection, DownwardAPIVolumeFile, KeyToPath, Secret, SecretProjection, ServiceAccountTokenProjection, Volume, VolumeProjection } from '#api/types/index.ts'
import { fieldValue, fileResourceValue, type FieldContext } from '../field-ref.ts'

export interface FilePayload { data: Buffer; mode: number; /** Its owner, where that is not root. */ uid?: number }
/** By relative path. */
export type Payload = ReadonlyMap<string, FilePayload>
export type TokenResult = { ok: true; token: string } | { ok: false; message: string }
export type PayloadResult = { ok: true; payload: Payload } | { ok: false; message: string }

export interface PayloadSources {
  configMap: (name: string) => ConfigMap | undefined
  secret: (name: string) => Secret | undefined
  /** Requested before; undefined: it was not. */
  token: (projection: ServiceAccountTokenProjection) => TokenResult | undefined
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
  const problems = new Set(fill(files, volume, sources))
  const [first] = problems
  return first === undefined ? { ok: true, payload: files } : { ok: false, message: problems.size === 1 ? first : `[${[...problems].join(', ')}]` }
}

/** All that is wrong, each as a sentence; nothing: the files are what they should be. */
type Problems = string[]
const SOUND: Problems = []

function fill(files: Map<string, FilePayload>, volume: Volume, sources: PayloadSources): Problems {
  const { configMap, secret, downwardAPI, projected } = volume
  if (configMap) return fillConfigMap(files, configMap, configMap.defaultMode ?? MODE_DEFAULT, sources)
  if (secret) return fillSecret(files, { ...secret, ...(secret.secretName !== undefined && { name: secret.secretName }) }, secret.defaultMode ?? MODE_DEFAULT, sources)
  if (downwardAPI) return fillDownward(files, downwardAPI.items ?? [], downwardAPI.defaultMode ?? MODE_DEFAULT, sources)
  return (projected?.sources ?? []).flatMap((source) => fillProjection(files, source, projected?.defaultMode ?? MODE_DEFAULT, sources))
}

function fillProjection(files: Map<string, FilePayload>, source: VolumeProjection, mode: number, sources: PayloadSources): Problems {
  if (source.configMap) return fillConfigMap(files, source.configMap, mode, sources)
  if (source.secret) return fillSecret(files, source.secret, mode, sources)
  if (source.downwardAPI) return fillDownward(files, source.downwardAPI.items ?? [], mode, sources)
  if (source.serviceAccountToken) {
    const result = sources.token(source.serviceAccountToken)
    if (!result?.ok) return [result?.message ?? 'failed to fetch token']
    // Others must not read a token unless the pod's user or group is unknown to us.
    const tokenMode = sources.fsGroup !== undefined || sources.sameRunAsUser !== undefined ? 0o600 : mode
    files.set(source.serviceAccountToken.path, { data: Buffer.from(result.token), mode: tokenMode, ...(sources.sameRunAsUser !== undefined && { uid: sources.sameRunAsUser }) })
    return SOUND
  }
  if (source.clusterTrustBundle) return source.clusterTrustBundle.optional ? SOUND : ['clusterTrustBundle projections are not supported on this node']
  if (source.podCertificate) return ['podCertificate projections are not supported on this node']
  return SOUND
}

function fillConfigMap(files: Map<string, FilePayload>, ref: ConfigMapProjection, mode: number, { configMap }: PayloadSources): Problems {
  const found = configMap(ref.name ?? '')
  if (!found) return ref.optional ? SOUND : [`configmap "${ref.name ?? ''}" not found`]
  const data = new Map<string, Buffer>()
  for (const [key, value] of Object.entries(found.data ?? {})) data.set(key, Buffer.from(value))
  for (const [key, value] of Object.entries(found.binaryData ?? {})) data.set(key, Buffer.from(value, 'base64'))
  return pick(files, data, ref.items, mode, ref.optional ?? false, `configmap references non-existent config key: `)
}

function fillSecret(files: Map<string, FilePayload>, ref: SecretProjection, mode: number, { secret }: PayloadSources): Problems {
  const found = secret(ref.name ?? '')
  if (!found) return ref.optional ? SOUND : [`secret "${ref.name ?? ''}" not found`]
  const data = new Map(Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')]))
  return pick(files, data, ref.items, mode, ref.optional ?? false, `references non-existent secret key: `)
}

function pick(files: Map<string, FilePayload>, data: Map<string, Buffer>, items: readonly KeyToPath[] | undefined, mode: number, optional: boolean, missing: string): Problems {
  if (!items || items.length === 0) {
    for (const [key, value] of data) files.set(key, { data: value, mode })
    return SOUND
  }
  for (const item of items) {
    const value = data.get(item.key)
    if (value === undefined) {
      if (optional) continue
      return [missing + item.key]
    }
    files.set(item.path, { data: value, mode: item.mode ?? mode })
  }
  return SOUND
}

function fillDownward(files: Map<string, FilePayload>, items: readonly DownwardAPIVolumeFile[], mode: number, { field }: PayloadSources): Problems {
  return items.flatMap((item) => {
    const value = item.fieldRef ? fieldValue(item.fieldRef, field) : item.resourceFieldRef ? fileResourceValue(item.resourceFieldRef, field) : ''
    if (value === undefined) return [missingField(item, field)]
    files.set(item.path, { data: Buffer.from(value), mode: item.mode ?? mode })
    return SOUND
  })
}

function missingField({ fieldRef, resourceFieldRef }: DownwardAPIVolumeFile, { pod }: FieldContext): string {
  if (fieldRef) return `unsupported fieldPath: ${fieldRef.fieldPath}`
  const name = resourceFieldRef?.containerName ?? ''
  const isThere = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].some((c) => c.name === name)
  return isThere ? `unsupported container resource : ${resourceFieldRef?.resource ?? ''}` : `container ${name} not found`
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
