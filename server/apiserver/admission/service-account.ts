/** Gives pods a service account and mounts its token, upstream's way (bound, projected, rotated by the kubelet). */
import type { Pod, PodSpec, ServiceAccount, Volume } from '#api/types/index.ts'
import { MIRROR_POD, SERVICE_ACCOUNTS } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import type { Clock } from '#base/clock.ts'
import { nameSuffix, type Random } from '#base/random.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import { cloneJson } from '../storage/clone.ts'
import { isFor, refuse } from './refuse.ts'

const MOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount'
const VOLUME_PREFIX = 'kube-api-access-'
/** One hour and a bit, so that a token asked for an hour can be told from this one. */
const TOKEN_SECONDS = 3607
/** `default` is made by a controller a moment after its namespace: worth a wait. */
const DEFAULT_ACCOUNT_ATTEMPTS = 10
const RETRY_MS = 100

export interface ServiceAccountParts { clock: Clock; random: Random }

export function serviceAccountPlugin(parts: ServiceAccountParts): AdmissionPlugin {
  return {
    name: 'ServiceAccount',

    async mutate(request, api) {
      if (!isPodCreate(request) || isMirror(request)) return undefined
      const pod = request.object as Pod
      const spec = (pod.spec ??= { containers: [] })
      spec.serviceAccountName ||= 'default'
      spec.serviceAccount = spec.serviceAccountName
      const account = await findAccount(api, request.namespace, spec.serviceAccountName, parts.clock)
      if (!account) return missing(request.namespace, spec.serviceAccountName)
      if (spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) mountToken(spec, parts.random)
      if ((spec.imagePullSecrets ?? []).length === 0 && (account.imagePullSecrets ?? []).length > 0) spec.imagePullSecrets = cloneJson(account.imagePullSecrets ?? [])
      return undefined
    },

    async validate(request, api) {
      if (!isPodCreate(request)) return undefined
      const spec = (request.object as Pod).spec
      if (isMirror(request)) return validateMirror(spec)
      const name = spec?.serviceAccountName ?? ''
      if (name === '') return refuse('no service account specified for pod')
      return (await findAccount(api, request.namespace, name, undefined)) ? undefined : missing(request.namespace, name)
    },
  }
}

const isPodCreate = (request: AdmissionRequest): boolean => isFor(request, '', 'pods') && request.operation === 'CREATE' && request.subresource === ''
const isMirror = (request: AdmissionRequest): boolean => request.object?.metadata?.annotations?.[MIRROR_POD] !== undefined
const missing = (namespace: string, name: string) => refuse(`error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`)

/** Static pods of a node stand for nobody. */
function validateMirror(spec: PodSpec | undefined) {
  if (spec?.serviceAccountName) return refuse('a mirror pod may not reference service accounts')
  if ((spec?.volumes ?? []).some((v) => v.projected?.sources?.some((s) => s.serviceAccountToken))) return refuse('a mirror pod may not use ServiceAccountToken volume projections')
  return (spec?.volumes ?? []).some((v) => v.secret) ? refuse('a mirror pod may not reference secrets') : undefined
}

/** Waits for `default` when a clock is given. */
async function findAccount(api: AdmissionApi, namespace: string, name: string, clock: Clock | undefined): Promise<ServiceAccount | undefined> {
  const attempts = clock && name === 'default' ? DEFAULT_ACCOUNT_ATTEMPTS : 1
  for (let attempt = 1; ; attempt++) {
    try {
      return await api.client.get<ServiceAccount>(SERVICE_ACCOUNTS, name, namespace)
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error
    }
    if (attempt >= attempts || !clock) return undefined
    await clock.sleep(RETRY_MS)
  }
}

/** In place; containers that mount something there themselves are left alone. */
function mountToken(spec: PodSpec, random: Random): void {
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].filter((c) => !c.volumeMounts?.some((m) => m.mountPath === MOUNT_PATH))
  if (containers.length === 0) return
  const taken = new Set((spec.volumes ?? []).map((v) => v.name))
  const existing = (spec.volumes ?? []).find((v) => v.projected && v.name.startsWith(VOLUME_PREFIX))?.name
  let name = existing ?? `${VOLUME_PREFIX}${nameSuffix(random)}`
  while (existing === undefined && taken.has(name)) name = `${VOLUME_PREFIX}${nameSuffix(random)}`
  for (const container of containers) (container.volumeMounts ??= []).push({ name, readOnly: true, mountPath: MOUNT_PATH })
  if (existing === undefined) (spec.volumes ??= []).push(tokenVolume(name))
}

function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      defaultMode: 420,
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
      ],
    },
  }
}
