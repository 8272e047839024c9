/**
 * A container's environment, in upstream's order: envFrom, then env, then the Services it may reach, each unless
 * already named. Pure: the ConfigMaps and Secrets it refers to are handed in.
 */
import type { ConfigMap, Container, EnvVar, FileKeySelector, Pod, Secret, Service } from '#api/types/index.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import { envFileValue } from './env-file.ts'
import { expandReferences } from './env-expand.ts'
import { fieldValue, resourceFieldValue, type FieldContext } from './field-ref.ts'

export interface EnvInput {
  pod: Pod
  container: Container
  field: FieldContext
  /** Undefined: it does not exist. */
  configMap: (name: string) => ConfigMap | undefined
  secret: (name: string) => Secret | undefined
  /** Content of a file in a volume; undefined: it is of no use. Throws for a volume that is not there. */
  file: (volume: string, path: string) => { path: string; text: string | undefined }
  services: readonly Service[]
}

export type EnvResult = { ok: true; env: { key: string; value: string }[] } | { ok: false; message: string }

export function containerEnv(input: EnvInput): EnvResult {
  const { pod, container } = input
  const namespace = pod.metadata?.namespace ?? ''
  const env = new Map<string, string>()
  const service = new Map(serviceEnv(input.services, namespace, pod.spec?.enableServiceLinks !== false).map((e) => [e.key, e.value]))

  for (const from of container.envFrom ?? []) {
    const prefix = from.prefix ?? ''
    if (from.configMapRef) {
      const found = input.configMap(from.configMapRef.name ?? '')
      if (!found && !from.configMapRef.optional) return missing('configmap', from.configMapRef.name)
      for (const [key, value] of Object.entries(found?.data ?? {})) setFrom(env, prefix, key, value)
    } else if (from.secretRef) {
      const found = input.secret(from.secretRef.name ?? '')
      if (!found && !from.secretRef.optional) return missing('secret', from.secretRef.name)
      for (const [key, value] of Object.entries(found?.data ?? {})) setFrom(env, prefix, key, Buffer.from(value, 'base64').toString('utf8'))
    }
  }
  for (const entry of container.env ?? []) {
    const value = valueOf(entry, input, (name) => env.get(name) ?? service.get(name))
    if (!value.ok) return value
    if (value.value !== undefined) env.set(entry.name, value.value)
  }
  for (const [key, value] of service) if (!env.has(key)) env.set(key, value)
  return { ok: true, env: [...env].map(([key, value]) => ({ key, value })) }
}

type Value = { ok: true; value: string | undefined } | { ok: false; message: string }

function valueOf(entry: EnvVar, input: EnvInput, lookup: (name: string) => string | undefined): Value {
  const from = entry.valueFrom
  if (!from) return { ok: true, value: expandReferences(entry.value ?? '', lookup) }
  const namespace = input.pod.metadata?.namespace ?? ''
  if (from.fieldRef) {
    const value = fieldValue(from.fieldRef, input.field)
    return value === undefined ? { ok: false, message: `unsupported fieldPath: ${from.fieldRef.fieldPath}` } : { ok: true, value }
  }
  if (from.resourceFieldRef) {
    const value = resourceFieldValue(from.resourceFieldRef, input.field, input.container)
    return value === undefined ? { ok: false, message: `unsupported container resource : ${from.resourceFieldRef.resource}` } : { ok: true, value }
  }
  if (from.configMapKeyRef) {
    const { name = '', key, optional } = from.configMapKeyRef
    const found = input.configMap(name)
    if (!found) return optional ? { ok: true, value: undefined } : missing('configmap', name)
    const value = found.data?.[key]
    if (value === undefined) return optional ? { ok: true, value: undefined } : { ok: false, message: `couldn't find key ${key} in ConfigMap ${namespace}/${name}` }
    return { ok: true, value }
  }
  if (from.secretKeyRef) {
    const { name = '', key, optional } = from.secretKeyRef
    const found = input.secret(name)
    if (!found) return optional ? { ok: true, value: undefined } : missing('secret', name)
    const value = found.data?.[key]
    if (value === undefined) return optional ? { ok: true, value: undefined } : { ok: false, message: `couldn't find key ${key} in Secret ${namespace}/${name}` }
    return { ok: true, value: Buffer.from(value, 'base64').toString('utf8') }
  }
  if (from.fileKeyRef) return fileValue(from.fileKeyRef, input)
  return { ok: true, value: '' }
}

function fileValue({ volumeName, path, key, optional }: FileKeySelector, { file }: EnvInput): Value {
  const found = file(volumeName, path)
  let value: string
  try {
    if (found.text === undefined) throw new CodedError('ENV_FILE', 'it cannot be read')
    value = envFileValue(found.text, key)
  } catch (error) {
    if (!hasCode(error, 'ENV_FILE')) throw error
    // Upstream tells no more, for it may hold secrets.
    return { ok: false, message: 'couldn\'t parse env file' }
  }
  if (value !== '') return { ok: true, value }
  return optional ? { ok: true, value: undefined } : { ok: false, message: `environment variable key ${JSON.stringify(key)} not found in file ${JSON.stringify(found.path)}` }
}

const missing = (kind: string, name: string | undefined): { ok: false; message: string } => ({ ok: false, message: `${kind} "${name ?? ''}" not found` })

/** Any printable name without `=` is one (relaxed validation, KEP-4369); others are left out as upstream does. */
function setFrom(env: Map<string, string>, prefix: string, key: string, value: string): void {
  const name = prefix + key
  if (/^[ -<>-~]+$/.test(name)) env.set(name, value)
}

/** Docker-style links: the API's own Service always, those of the pod's namespace if it wants them (enableServiceLinks). */
export function serviceEnv(services: readonly Service[], namespace: string, links: boolean): { key: string; value: string }[] {
  const chosen = new Map<string, Service>()
  for (const s of services) {
    const { name = '', namespace: ns } = s.metadata ?? {}
    const ip = s.spec?.clusterIP
    if (!ip || ip === 'None') continue
    if (ns === namespace && links) chosen.set(name, s)
    else if (ns === 'default' && name === 'kubernetes' && !chosen.has(name)) chosen.set(name, s)
  }
  return [...chosen.values()].flatMap(linkVariables)
}

function linkVariables(service: Service): { key: string; value: string }[] {
  const name = upper(service.metadata?.name ?? '')
  const ip = service.spec?.clusterIP ?? ''
  const host = ip.includes(':') ? `[${ip}]` : ip
  const ports = service.spec?.ports ?? []
  const first = ports[0]
  if (!first) return []
  const url = (p: { protocol?: string; port: number }) => `${(p.protocol ?? 'TCP').toLowerCase()}://${host}:${p.port}`
  const out = [{ key: `${name}_SERVICE_HOST`, value: ip }, { key: `${name}_SERVICE_PORT`, value: String(first.port) }]
  for (const p of ports) if (p.name) out.push({ key: `${name}_SERVICE_PORT_${upper(p.name)}`, value: String(p.port) })
  out.push({ key: `${name}_PORT`, value: url(first) })
  for (const p of ports) {
    const base = `${name}_PORT_${p.port}_${(p.protocol ?? 'TCP').toUpperCase()}`
    out.push({ key: base, value: url(p) }, { key: `${base}_PROTO`, value: (p.protocol ?? 'TCP').toLowerCase() }, { key: `${base}_PORT`, value: String(p.port) }, { key: `${base}_ADDR`, value: ip })
  }
  return out
}

const upper = (text: string): string => text.replaceAll('-', '_').toUpperCase()
