/** How each action on a pod is carried out. Effects are idempotent; failures are thrown and become the lane's back-off. */
import { mkdir, rm, writeFile, chmod, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { EventRecorder } from '#api/client/event-recorder.ts'
import { isReason, type Client } from '#api/client/client.ts'
import { PODS, type ConfigMap, type Container, type ObjectReference, type Pod, type PodStatus, type Secret, type Service, type Stored } from '#api/types/index.ts'
import { unlessAborted } from '#base/abort.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { callError, type ContainerRuntime, type Image } from '#cri/index.ts'
import type { PodCgroups } from './cgroups/pod-cgroups.ts'
import type { KubeletConfig } from './config.ts'
import { containerConfig } from './container-config.ts'
import { containerEnv } from './env.ts'
import { expandReferences } from './env-expand.ts'
import type { FieldContext } from './field-ref.ts'
import type { HookRunner } from './hooks.ts'
import { hostsFile } from './hosts-file.ts'
import type { ContainerEvent, ImagePuller } from './image-puller.ts'
import { linkContainerLog } from './logs/container-links.ts'
import { removeLogs } from './logs/remove-logs.ts'
import type { PodAction } from './pod-action.ts'
import { DEADLINE_MESSAGE, killMessage, podText } from './messages.ts'
import { dnsProblems, podNames } from './pod-dns.ts'
import { podHardware, type HardwareDeps } from './pod-hardware.ts'
import type { PodMemory } from './pod-memory.ts'
import { containerLogPath, type PodPaths } from './pod-paths.ts'
import { sandboxConfig } from './sandbox-config.ts'
import { allocationOf, resizeMessage } from './resize.ts'
import { applyResize } from './apply-resize.ts'
import type { NodeResources } from './resources.ts'
import { isStaticPod } from './static/manifest.ts'
import { StartError } from './start-error.ts'
import { isReplaced, mayRestart } from './restart.ts'
import { statusPatch } from './status-patch.ts'
import { GRACE_SECONDS_MIN, restartGraceSeconds } from './termination.ts'
import type { UserRanges } from './user-ranges.ts'
import { networkProblem } from './runtime-problems.ts'
import { allContainers, type ContainerView, type PendingResize, type PodView } from './view.ts'
import { volumeImages } from './volumes/image-volumes.ts'
import type { PodVolumes } from './volumes/pod-volumes.ts'
import { VolumeError } from './volumes/volume-error.ts'
import { reportedStatus } from './runtime-view.ts'

export interface EffectDeps extends HardwareDeps {
  runtime: ContainerRuntime
  client: Client
  events: EventRecorder
  clock: Clock
  log: Log
  config: KubeletConfig
  rootDir: string
  paths: PodPaths
  cgroups: PodCgroups
  volumes: PodVolumes
  images: ImagePuller
  hooks: HookRunner
  userRanges: UserRanges
  nodeHostname: string
  machine: NodeResources
  /** Waits a little for the first list. Undefined: not known yet. */
  services(): Promise<readonly Service[] | undefined>
  field(pod: Stored<Pod>, podIps: readonly string[]): FieldContext
  /** Why its spec's resources cannot be allocated at this moment. */
  pendingResize(memory: PodMemory): PendingResize | undefined
  /** Writes what is to outlive the agent. */
  keep(memory: PodMemory): Promise<void>
  /** The API was told. */
  onStatus?(before: PodStatus, after: PodStatus, memory: PodMemory): void
  /** The pod is gone for good: its worker and disk record end. */
  forget(memory: PodMemory): Promise<void>
}

const TERMINATION_LOG_MODE = 0o666
/** A request or a sleep of a hook that has not ended by then has failed; upstream gives postStart no limit, so a day. Commands have none. */
const POST_START_SECONDS_MAX = 86_400

export function podEffects(deps: EffectDeps, memory: PodMemory, view: PodView): Effects<PodAction> {
  const { runtime, client, clock, config, paths, cgroups, volumes, images, hooks } = deps
  const { pod } = view
  const { uid, namespace = '', name: podName } = pod.metadata
  const podEvent = (type: 'Normal' | 'Warning', reason: string, message: string) => deps.events.event(asReference(pod), type, reason, message)

  const hardware = podHardware(deps, pod, podEvent)

  const containerOf = (name: string) => allContainers(pod).find((c) => c.spec.name === name)

  const onFallback = (host: string): void => podEvent('Warning', 'LifecycleHTTPFallback', `request to HTTPS lifecycle hook ${host} got HTTP response, retry with HTTP succeeded`)

  /** What fails is told as upstream does, and fails all the same. */
  const told = async (reason: string, what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      podEvent('Warning', reason, `${what}: ${asError(error).message}`)
      throw error
    }
  }

  const secretsFor = async (): Promise<Secret[]> => {
    const found: Secret[] = []
    const missing: string[] = []
    for (const { name } of pod.spec?.imagePullSecrets ?? []) {
      if (!name) continue
      const secret = await deps.objects.secret(uid, namespace, name)
      if (secret) found.push(secret)
      else missing.push(name)
    }
    if (missing.length > 0) podEvent('Warning', 'FailedToRetrieveImagePullSecret', `Unable to retrieve some image pull secrets (${missing.join(', ')}); attempting to pull the image may not succeed.`)
    return found
  }

  const configFor = async (container: Container, image: Image, mounted: ReadonlyMap<string, string>, action: Extract<PodAction, { kind: 'startContainer' }>) => {
    const sandbox = view.sandboxes.find((s) => s.id === action.sandboxId)
    const podIps = pod.spec?.hostNetwork ? view.node.hostIps : (sandbox?.ips ?? [])
    const env = await envFor(container, podIps)
    const values = new Map(env.map((e) => [e.key, e.value]))
    const expand = (text: string) => {
      const missing = new Set<string>()
      const out = expandReferences(text, (n) => {
        const value = values.get(n)
        // As upstream: a value of no length names no directory.
        if (!value) missing.add(n)
        return value
      })
      return missing.size > 0 ? { missing: [...missing].toSorted() } : { text: out }
    }
    const mounts = await volumes.mounts(pod, container, { expand, canRecursiveReadOnly: (await handlerFeatures())?.recursiveReadOnlyMounts ?? false, volumeImages: mounted })
    const granted = await hardware.forContainer(container)
    const devices = [...granted.devices, ...(await volumes.devices(pod, container))]
    const terminationLog = paths.terminationLog(uid, container.name, action.attempt)
    await mkdir(dirname(terminationLog), { recursive: true, mode: 0o755 })
    await writeFile(terminationLog, '', { flag: 'a' })
    await chmod(terminationLog, TERMINATION_LOG_MODE)
    const target = action.type === 'ephemeral' ? pod.spec?.ephemeralContainers?.find((c) => c.name === container.name)?.targetContainerName : undefined
    const targetId = target === undefined || target === '' ? undefined : view.containers.find((c) => c.metadata.name === target)?.id
    if (target && targetId === undefined) throw new StartError('CreateContainerConfigError', `unable to find target container ${target}`)
    const users = await ownUsers()
    return containerConfig({
      pod, container, image, mounts: [...granted.mounts, ...mounts], devices, volumeImages: mounted, annotations: granted.annotations, cdiDevices: granted.cdiDevices,
      // What the container says itself counts.
      env: [...granted.env.filter(({ key }) => !values.has(key)), ...env],
      attempt: action.attempt, backoffSeconds: action.backoffSeconds, round: action.round ?? 0, terminationLog, machine: deps.machine, seccompDir: join(deps.rootDir, 'seccomp'), seccompDefault: config.seccompDefault,
      etcHosts: await writeEtcHosts(podIps), ...(targetId !== undefined && { targetId }), ...(users && { users }),
    })
  }

  const envFor = async (container: Container, podIps: readonly string[]) => {
    const configMaps = new Map<string, ConfigMap | undefined>()
    const secrets = new Map<string, Secret | undefined>()
    for (const from of [...(container.envFrom ?? []), ...(container.env ?? []).map((e) => ({ configMapRef: e.valueFrom?.configMapKeyRef, secretRef: e.valueFrom?.secretKeyRef }))]) {
      if (from.configMapRef?.name) configMaps.set(from.configMapRef.name, await deps.objects.configMap(uid, namespace, from.configMapRef.name))
      if (from.secretRef?.name) secrets.set(from.secretRef.name, await deps.objects.secret(uid, namespace, from.secretRef.name))
    }
    const files = new Map<string, { path: string; text: string | undefined }>()
    for (const { valueFrom } of container.env ?? []) {
      const ref = valueFrom?.fileKeyRef
      if (ref) files.set(`${ref.volumeName}:${ref.path}`, await volumes.readFile(pod, ref.volumeName, ref.path))
    }
    // A static pod does not wait for an API that may need it to begin.
    const services = await deps.services() ?? (isStaticPod(pod) ? [] : undefined)
    if (!services) throw new StartError('CreateContainerConfigError', 'services have not yet been read at least once, cannot construct envvars')
    const result = containerEnv({ pod, container, field: deps.field(pod, podIps), configMap: (n) => configMaps.get(n), secret: (n) => secrets.get(n), services, file: (volume, path) => files.get(`${volume}:${path}`) ?? { path, text: undefined } })
    if (!result.ok) throw new StartError('CreateContainerConfigError', result.message)
    return result.env
  }

  const writeEtcHosts = async (podIps: readonly string[]): Promise<string> => {
    const { hostname, fqdn } = podNames(pod, config.clusterDomain)
    const nodeHosts = pod.spec?.hostNetwork ? await readFile('/etc/hosts', 'utf8').catch(() => '127.0.0.1\tlocalhost\n') : undefined
    const text = hostsFile({ podIps, hostname, fqdn, aliases: pod.spec?.hostAliases ?? [], nodeHosts })
    const path = paths.etcHosts(uid)
    // Rewritten in place: running containers have it bind-mounted.
    const before = await readFile(path, 'utf8').catch(() => undefined)
    if (before !== text) await writeFile(path, text, { mode: 0o644 })
    return path
  }

  const runtimeHandler = async (): Promise<string> => {
    const name = pod.spec?.runtimeClassName
    if (!name) return ''
    const found = await deps.objects.runtimeClass(uid, name)
    if (!found) throw new CodedError('RUNTIME_CLASS_NOT_FOUND', `failed to get runtime handler: runtimeclass.node.k8s.io ${JSON.stringify(name)} not found`)
    return found.handler
  }

  /** Undefined: the runtime does not tell of this handler. Asked only for pods that want to know. */
  const handlerFeatures = async () => {
    if (pod.spec?.hostUsers !== false && !allContainers(pod).some((c) => c.spec.volumeMounts?.some((m) => m.recursiveReadOnly !== undefined && m.recursiveReadOnly !== 'Disabled'))) return undefined
    const name = await runtimeHandler()
    return (await runtime.status()).handlers.find((h) => h.name === name)
  }

  /** Nobody who asks for a user namespace is given the host's users instead (KEP-127). */
  const checkUserNamespace = async () => {
    if (pod.spec?.hostUsers !== false || (await handlerFeatures())?.userNamespaces) return
    throw new CodedError('USERNS_UNSUPPORTED', `runtime handler ${JSON.stringify((await runtimeHandler()) || 'default')} does not support user namespaces`)
  }

  /** While a resize is under way some containers may have more than the pod will: it shrinks once they have. */
  const podCgroup = () => (view.resizing === undefined ? cgroups.ensure(pod) : cgroups.grow(pod))

  const ownUsers = () => (pod.spec?.hostUsers === false ? deps.userRanges.of(uid) : Promise.resolve(undefined))

  return {
    async preparePod(_action, signal) {
      await told('FailedCreatePodContainer', 'unable to ensure pod container exists', () => cgroups.ensure(pod))
      await told('Failed', 'error making pod data directories', async () => {
        for (const dir of [paths.pod(uid), paths.volumes(uid)]) await mkdir(dir, { recursive: true, mode: 0o750 })
        // Log collectors need not be root.
        await mkdir(paths.logDirectory(pod), { recursive: true, mode: 0o755 })
        // Containers running as anyone reach their own files below.
        await chmod(paths.pod(uid), 0o755)
      })
      // Upstream's admission, which is over by now: the pod fails before anything of it has begun.
      const reject = (reason: string, message: string): void => {
        podEvent('Warning', reason, message)
        memory.rejected = { reason, message: `Pod was rejected: ${message}` }
      }
      const unavailable = await hardware.allocate()
      if (unavailable !== undefined) return reject('UnexpectedAdmissionError', unavailable)
      try {
        await volumes.setUp(pod)
      } catch (error) {
        if (hasCode(error, 'VOLUME_LIMIT')) return reject('VolumeAttachmentLimitExceeded', asError(error).message)
        if (error instanceof VolumeError) for (const { reason, message } of error.failures) podEvent('Warning', reason, message)
        throw error
      }
      // It runs, and what was known of its claims is lost.
      if (view.sandboxes.length > 0 && !deps.claims.holdsAll(pod)) await hardware.prepareClaims(signal)
      memory.prepared = true
    },

    async createSandbox({ attempt }, signal) {
      const first = view.sandboxes.length === 0
      if (!first) podEvent('Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.')
      await hardware.prepareClaims(signal)
      signal.throwIfAborted()
      try {
        await checkUserNamespace()
        const users = await ownUsers()
        const resolvConf = await readFile(config.resolvConf, 'utf8').catch(() => '')
        for (const problem of dnsProblems({ pod, clusterDns: config.clusterDns, clusterDomain: config.clusterDomain, resolvConf })) podEvent('Warning', 'DNSConfigForming', problem)
        const wanted = sandboxConfig({
          pod, attempt, cgroupParent: await podCgroup(), paths, clusterDns: config.clusterDns, clusterDomain: config.clusterDomain,
          resolvConf, nodeHostname: deps.nodeHostname,
          runtimeHandler: await runtimeHandler(), ...(users && { users }),
        })
        await runtime.runPodSandbox(wanted).catch((error: unknown) => { throw new CodedError(error instanceof CodedError ? error.code : 'SANDBOX_FAILED', callError(error), { cause: error }) })
      } catch (error) {
        const problem = pod.spec?.hostNetwork ? undefined : await networkProblem(runtime)
        if (problem !== undefined) podEvent('Warning', 'NetworkNotReady', `network is not ready: ${problem}`)
        else podEvent('Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${asError(error).message}`)
        throw error
      }
    },

    async startContainer(action, signal) {
      const spec = containerOf(action.name)
      if (!spec) return
      const container = spec.spec
      const event: ContainerEvent = (type, reason, message) => deps.events.event(asReference(pod, fieldPath(action.type, container.name)), type, reason, message)
      let id = action.createdId
      try {
        if (id === undefined) {
          const mounted = await volumeImages({ pod, container, images, secrets: secretsFor, event: podEvent }, signal)
          const image = await images.ensure({ pod, image: container.image ?? '', policy: container.imagePullPolicy, secrets: await secretsFor(), event }, signal)
          signal.throwIfAborted()
          const containerSpec = await configFor(container, image, mounted, action).catch((error: unknown) => {
            if (error instanceof StartError) throw error
            throw new StartError('CreateContainerConfigError', asError(error).message, { cause: error })
          })
          signal.throwIfAborted()
          id = await create(container, containerSpec, action)
          event('Normal', 'Created', `Container created`)
        }
        signal.throwIfAborted()
        await runtime.startContainer(id).catch((error: unknown) => { throw new StartError('RunContainerError', asError(error).message, { cause: error }) })
        event('Normal', 'Started', `Container started`)
        await linkLog(container.name, action.attempt, id)
      } catch (error) {
        if (!signal.aborted && error instanceof StartError) {
          const isAboutImage = error.reason.startsWith('ErrImage') || error.reason === 'InvalidImageName' || error.reason === 'ImageInspectError'
          // By its name: the next attempt fails with the same words.
          const what = isAboutImage ? error.reason : id === undefined ? error.message : error.message.replaceAll(id, container.name)
          event('Warning', 'Failed', `Error: ${what}`)
        }
        throw error
      }
      const hook = container.lifecycle?.postStart
      if (!hook) return
      try {
        const [sandbox] = view.sandboxes
        await hooks.run({ handler: hook, container, pod: podText({ pod }), containerId: id, podIp: sandbox?.ips[0] ?? view.node.hostIps[0], timeoutSeconds: POST_START_SECONDS_MAX, onFallback }, signal)
      } catch (error) {
        if (signal.aborted) throw error
        event('Warning', 'FailedPostStartHook', 'PostStartHook failed')
        const grace = await beginStop({ id, name: container.name, graceSeconds: restartGraceSeconds(view, undefined), because: 'postStart', preStop: true }, signal)
        signal.throwIfAborted()
        await runtime.stopContainer(id, Math.max(GRACE_SECONDS_MIN, grace))
        throw new StartError('PostStartHookError', asError(error).message, { cause: error })
      }
    },

    cancel({ lane }) {
      memory.inFlight.get(lane)?.abort.abort(new Error('the pod is to end'))
      return Promise.resolve()
    },

    async beginStop(action, signal) {
      await beginStop({ ...action, because: 'stopping', preStop: true }, signal)
      // Cut short: it begins again with less grace.
      if (!signal.aborted) memory.stopBegun.add(action.id)
    },

    async killContainer(action, signal) {
      if (isReplaced(pod, containerOf(action.name)?.spec, action.because)) memory.replacing.add(action.id)
      const grace = action.begun ? action.graceSeconds : await beginStop(action, signal)
      // Cut short: the next pass kills with less grace.
      if (signal.aborted) return
      await toldOf('KillContainer', action.name, unlessAborted(signal, runtime.stopContainer(action.id, Math.max(GRACE_SECONDS_MIN, grace))))
    },

    removeContainer: async ({ id }) => {
      const status = view.containers.find((c) => c.id === id)
      await runtime.removeContainer(id)
      if (!status) return
      if (status.logPath.startsWith(`${paths.logDirectory(pod)}/`)) await removeLogs(status.logPath)
      await unlinkLog(status)
    },
    stopSandbox: ({ id }) => toldOf('KillPodSandbox', uid, runtime.stopPodSandbox(id)),
    async removeSandbox({ id }) {
      await runtime.removePodSandbox(id)
      for (const c of view.containers) if (c.sandboxId === id) await unlinkLog(c)
    },

    async allocate() {
      // Others may have been given what was free when it was looked at.
      if (memory.removed || deps.pendingResize(memory)) return
      const { pod: last, podBefore } = memory.allocation
      memory.allocation = allocationOf(memory.pod, memory.resizing === undefined || memory.resized === memory.resizing ? last : (podBefore ?? last))
      memory.resizing = memory.pod.metadata.generation ?? 0
      memory.failures.delete('resize')
      await deps.keep(memory)
      podEvent('Normal', 'ResizeStarted', resizeMessage('started', memory.pod, memory.resizing))
    },

    async resize({ containers }) {
      const generation = view.resizing
      await applyResize({ runtime, cgroups }, pod, containers)
      memory.resized = generation
    },

    async reportResize({ of, message, mark }) {
      memory.backOffReported.add(mark)
      const [type, reason] = of === 'completed' ? ['Normal' as const, 'ResizeCompleted'] : ['Warning' as const, of === 'error' ? 'ResizeError' : `Resize${of}`]
      podEvent(type, reason, message)
      if (of !== 'completed') return
      memory.resizing = undefined
      const { podBefore: _, ...real } = memory.allocation
      memory.allocation = real
      await deps.keep(memory)
    },

    reportBackOff({ name, of, mark, message }) {
      const type = containerOf(name)?.type ?? 'app'
      const about = asReference(pod, fieldPath(type, name))
      deps.events.event(about, of === 'pull' ? 'Normal' : 'Warning', 'BackOff', message)
      if (of === 'pull') deps.events.event(about, 'Warning', 'Failed', 'Error: ImagePullBackOff')
      memory.backOffReported.add(mark)
      return Promise.resolve()
    },

    reportDeadline({ mark }) {
      memory.backOffReported.add(mark)
      podEvent('Normal', 'DeadlineExceeded', DEADLINE_MESSAGE)
      return Promise.resolve()
    },

    async reportStatus({ status }) {
      if (isStaticPod(pod) && !memory.mirror) {
        // Nobody to tell yet: a mirror that comes is told all.
        memory.written = { sent: status, answer: memory.pod.status ?? {}, resourceVersion: memory.pod.metadata.resourceVersion }
        return
      }
      const before = reportedStatus(memory)
      const patch = statusPatch(memory.mirror?.metadata.uid ?? uid, before, status)
      if (!patch) return
      // Gone, or replaced by a successor: refused, and the informer will say so before long.
      const answer = await client.patch<Pod>(PODS, podName, namespace, 'application/strategic-merge-patch+json', patch, { subresource: 'status' })
      memory.written = { sent: status, answer: answer.status ?? {}, resourceVersion: answer.metadata.resourceVersion }
      deps.onStatus?.(before, status, memory)
    },

    async tearDown() {
      memory.cancelRefresh?.()
      memory.cancelRefresh = undefined
      memory.prepared = false
      await memory.refreshing
      await deps.claims.unprepare(uid)
      await volumes.tearDown(uid)
      await deps.devices.release(uid)
      await cgroups.remove(uid)
      memory.tornDown = true
    },

    async finishDeletion() {
      await removePodDirs()
      try {
        await client.delete(PODS, podName, namespace, { gracePeriodSeconds: 0, preconditions: { uid } })
      } catch (error) {
        if (!isReason(error, 'NotFound', 'Conflict')) throw error
      }
      memory.finished = true
    },

    async forget() {
      await removePodDirs()
      await deps.forget(memory)
    },
  }

  async function toldOf(what: 'KillContainer' | 'KillPodSandbox', name: string, work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      podEvent('Warning', 'FailedKillPod', `error killing pod: failed to "${what}" for "${name}" with ${what}Error: ${JSON.stringify(asError(error).message)}`)
      throw error
    }
  }

  async function create(container: Container, containerSpec: Parameters<ContainerRuntime['createContainer']>[1], action: Extract<PodAction, { kind: 'startContainer' }>): Promise<string> {
    const sandbox = view.sandboxes.find((s) => s.id === action.sandboxId)
    const users = await ownUsers()
    try {
      return await runtime.createContainer(action.sandboxId, containerSpec, sandboxConfig({
        pod, attempt: sandbox?.metadata.attempt ?? 0, cgroupParent: await podCgroup(), paths, clusterDns: config.clusterDns, clusterDomain: config.clusterDomain,
        resolvConf: await readFile(config.resolvConf, 'utf8').catch(() => ''), nodeHostname: deps.nodeHostname, ...(users && { users }),
      }))
    } catch (error) {
      throw new StartError('CreateContainerError', asError(error).message, { cause: error })
    }
  }

  /** The Event and the preStop hook; what is left of the grace after it. */
  async function beginStop(action: Pick<Extract<PodAction, { kind: 'killContainer' }>, 'id' | 'name' | 'graceSeconds' | 'because' | 'preStop'>, signal: AbortSignal): Promise<number> {
    const spec = containerOf(action.name)
    const event: ContainerEvent = (type, reason, message) => deps.events.event(asReference(pod, fieldPath(spec?.type ?? 'app', action.name)), type, reason, message)
    event('Normal', 'Killing', killMessage(action.name, action.because, { isSidecar: spec?.type === 'sidecar', isStartedAgain: mayRestart(pod, spec?.spec) }))
    const preStop = action.preStop ? spec?.spec.lifecycle?.preStop : undefined
    if (!spec || !preStop || action.graceSeconds <= 0) return action.graceSeconds
    const startedMs = clock.monotonicMs()
    const limit = new AbortController()
    const cancel = clock.after(action.graceSeconds * 1000, () => limit.abort(new Error('the grace period is over')))
    try {
      await hooks.run({ handler: preStop, container: spec.spec, pod: podText({ pod }), containerId: action.id, podIp: view.sandboxes[0]?.ips[0] ?? view.node.hostIps[0], timeoutSeconds: action.graceSeconds, onFallback }, AbortSignal.any([signal, limit.signal]))
    } catch (error) {
      if (!limit.signal.aborted && !signal.aborted) event('Warning', 'FailedPreStopHook', 'PreStopHook failed')
      deps.log.info('preStop hook did not succeed', { pod: `${namespace}/${podName}`, container: action.name, error: asError(error) })
    } finally {
      cancel()
    }
    return Math.ceil(action.graceSeconds - (clock.monotonicMs() - startedMs) / 1000)
  }

  async function linkLog(container: string, attempt: number, id: string): Promise<void> {
    const logPath = join(paths.logDirectory(pod), containerLogPath(container, attempt))
    await linkContainerLog(paths.logLink(pod, container, id), logPath).catch((error: unknown) => deps.log.warn('log collectors do not find the log of a container', { pod: `${namespace}/${podName}`, container, error: asError(error) }))
  }

  function unlinkLog({ id, metadata }: Pick<ContainerView, 'id' | 'metadata'>): Promise<void> {
    return rm(paths.logLink(pod, metadata.name, id), { force: true })
  }

  async function removePodDirs(): Promise<void> {
    await rm(paths.pod(uid), { recursive: true, force: true })
    await rm(paths.logDirectory(pod), { recursive: true, force: true })
  }
}

/** Events about one container say which: `spec.containers{app}`. */
export function fieldPath(type: string, name: string): string {
  return `spec.${type === 'app' ? 'containers' : type === 'ephemeral' ? 'ephemeralContainers' : 'initContainers'}{${name}}`
}

export function asReference(pod: Stored<Pod>, path?: string): ObjectReference {
  const { name, namespace, uid, resourceVersion } = pod.metadata
  return { apiVersion: 'v1', kind: 'Pod', name, uid, resourceVersion, ...(namespace !== undefined && { namespace }), ...(path !== undefined && { fieldPath: path }) }
}
