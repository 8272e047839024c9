/** Gives pods a service account and mounts its token, upstream's way (bound, projected, rotated by the kubelet). */
import type { Container, Pod, PodSpec, ServiceAccount, Volume } from '#api/types/index.ts'
import { MIRROR_POD, SERVICE_ACCOUNTS } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import type { Clock } from '#base/clock.ts'
import { nameSuffix, type Random } from '#base/random.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { cloneJson } from '../storage/clone.ts'
import { podReferences } from './pod-references.ts'
import { isFor, refuse } from './refuse.ts'

const MOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount'
const ENFORCE = 'kubernetes.io/enforce-mountable-secrets'
/** What Go reads as true. */
const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True'])
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

    mutate(request, api) {
      return !isPodCreate(request) || isMirror(request) ? undefined : giveAccount(request, api, parts)
    },

    validate(request, api) {
      const addsContainers = isFor(request, '', 'pods') && request.operation === 'UPDATE' && request.subresource === 'ephemeralcontainers'
      return isPodCreate(request) || addsContainers ? checkAccount(request, api, addsContainers) : undefined
    },
  }
}

async function giveAccount(request: AdmissionRequest, api: AdmissionApi, parts: ServiceAccountParts): Promise<Refusal | undefined> {
  const pod = request.object as Pod
  const spec = (pod.spec ??= { containers: [] })
  spec.serviceAccountName ||= 'default'
  spec.serviceAccount = spec.serviceAccountName
  const account = await findAccount(api, request.namespace, spec.serviceAccountName, parts.clock)
  if (!account) return missing(request.namespace, spec.serviceAccountName)
  if (spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) mountToken(spec, parts.random)
  if ((spec.imagePullSecrets ?? []).length === 0 && (account.imagePullSecrets ?? []).length > 0) spec.imagePullSecrets = cloneJson(account.imagePullSecrets ?? [])
  return undefined
}

async function checkAccount(request: AdmissionRequest, api: AdmissionApi, addsContainers: boolean): Promise<Refusal | undefined> {
  const pod = request.object as Pod
  if (isPodCreate(request) && isMirror(request)) return validateMirror(pod.spec)
  const name = pod.spec?.serviceAccountName ?? ''
  if (name === '') return addsContainers && isMirror(request) ? undefined : refuse(`no service account specified for pod ${request.namespace}/${pod.metadata?.name ?? ''}`)
  const account = await findAccount(api, request.namespace, name, undefined)
  if (!account) return missing(request.namespace, name)
  const problem = mountableProblem(account, pod.spec, addsContainers ? 'added' : 'all')
  return problem === undefined ? undefined : refuse(problem)
}

const isPodCreate = (request: AdmissionRequest): boolean => isFor(request, '', 'pods') && request.operation === 'CREATE' && request.subresource === ''
/** An account may confine its pods to the secrets it lists (annotation kubernetes.io/enforce-mountable-secrets); the first that is not among them. */
function mountableProblem(account: ServiceAccount, spec: PodSpec | undefined, which: 'all' | 'added'): string | undefined {
  const name = account.metadata?.name ?? ''
  if (!spec || !TRUE.has(account.metadata?.annotations?.[ENFORCE] ?? '')) return undefined
  const mountable = new Set((account.secrets ?? []).map((s) => s.name ?? ''))
  const because = `is not allowed because service account ${name} does not reference that secret`
  const ofContainers = (containers: readonly Pick<Container, 'name' | 'env' | 'envFrom'>[] | undefined, word: string): string[] => (containers ?? []).flatMap((c) => [
    ...(c.env ?? []).flatMap((e) => (e.valueFrom?.secretKeyRef && !mountable.has(e.valueFrom.secretKeyRef.name ?? '') ? [`${word} ${c.name} with envVar ${e.name} referencing secret.secretName="${e.valueFrom.secretKeyRef.name ?? ''}" ${because}`] : [])),
    ...(c.envFrom ?? []).flatMap((e) => (e.secretRef && !mountable.has(e.secretRef.name ?? '') ? [`${word} ${c.name} with envFrom referencing secret.secretName="${e.secretRef.name ?? ''}" ${because}`] : [])),
  ])
  if (which === 'added') return ofContainers(spec.ephemeralContainers, 'ephemeral container')[0]
  const pullable = new Set((account.imagePullSecrets ?? []).map((s) => s.name))
  return [
    ...(spec.volumes ?? []).flatMap((v) => (v.secret && !mountable.has(v.secret.secretName ?? '') ? [`volume with secret.secretName="${v.secret.secretName ?? ''}" ${because}`] : [])),
    ...ofContainers(spec.initContainers, 'init container'),
    ...ofContainers(spec.containers, 'container'),
    ...(spec.imagePullSecrets ?? []).flatMap((s, i) => (pullable.has(s.name) ? [] : [`imagePullSecrets[${i}].name="${s.name ?? ''}" is not allowed because service account ${name} does not reference that imagePullSecret`])),
  ][0]
}

const isMirror = (request: AdmissionRequest): boolean => request.object?.metadata?.annotations?.[MIRROR_POD] !== undefined
const missing = (namespace: string, name: string) => refuse(`error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`)

/** Static pods of a node stand for nobody. */
function validateMirror(spec: PodSpec | undefined) {
  if (spec?.serviceAccountName) return refuse('a mirror pod may not reference service accounts')
  if (spec && podReferences(spec).secrets) return refuse('a mirror pod may not reference secrets')
  const takesToken = (spec?.volumes ?? []).some((v) => v.projected?.sources?.some((s) => s.serviceAccountToken))
  return takesToken ? refuse('a mirror pod may not use ServiceAccountToken volume projections') : undefined
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
