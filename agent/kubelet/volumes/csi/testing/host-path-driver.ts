/**
 * A CSI driver for tests, after the example of csi-driver-host-path: a volume is a directory, staged and published by
 * bind mounts, registered by a socket as node-driver-registrar makes it. It keeps no state but the mounts, answers repeated
 * calls as the specification wants, and notes what it was asked.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { GRPC, GrpcError } from '#base/grpc/grpc-status.ts'
import { GrpcServer } from '#base/grpc/grpc-server.ts'
import type { Log } from '#base/log.ts'
import { systemMounter } from '../../mounter.ts'
import { CAPABILITY, NODE_GET_CAPABILITIES, NODE_GET_INFO, NODE_PUBLISH, NODE_STAGE, NODE_UNPUBLISH, NODE_UNSTAGE, REGISTRATION_GET_INFO, REGISTRATION_NOTIFY } from '../calls.ts'

export interface HostPathDriverOptions {
  name: string
  nodeId: string
  /** The agent's: `plugins_registry` and `plugins` are below it. */
  kubeletDir: string
  /** Where volumes are kept. */
  storageDir: string
  topology?: Readonly<Record<string, string>>
  clock: Clock
  log: Log
}

export interface HostPathDriver {
  readonly calls: { method: string; request: Readonly<Record<string, unknown>> }[]
  /** What the kubelet said of the registration: an error, '' when it took it. */
  readonly told: string[]
  /** The next call of this method fails with this. */
  failNext(method: string, message: string): void
  stop(): Promise<void>
}

export async function startHostPathDriver({ name, nodeId, kubeletDir, storageDir, topology, clock, log }: HostPathDriverOptions): Promise<HostPathDriver> {
  const calls: HostPathDriver['calls'] = []
  const told: string[] = []
  const failures = new Map<string, string>()
  const noted = (method: string, request: object) => {
    calls.push({ method, request: { ...request } })
    const failure = failures.get(method)
    failures.delete(method)
    if (failure !== undefined) throw new GrpcError(GRPC.internal, failure)
  }
  const pluginDir = join(kubeletDir, 'plugins', name)
  const socketPath = join(pluginDir, 'csi.sock')
  const registryPath = join(kubeletDir, 'plugins_registry', `${name}-reg.sock`)
  for (const dir of [pluginDir, join(kubeletDir, 'plugins_registry'), storageDir]) await mkdir(dir, { recursive: true })

  const mount = async (source: string, target: string) => {
    await mkdir(target, { recursive: true })
    if (!(await systemMounter.below(target)).includes(target)) await systemMounter.bind(source, target)
  }
  const unmount = async (target: string) => {
    await systemMounter.unmount(target)
    await rm(target, { recursive: true, force: true })
  }

  const node = new GrpcServer({ clock, log })
  node.unary(NODE_GET_INFO, async () => ({ nodeId, maxVolumesPerNode: 8, ...(topology && { accessibleTopology: { segments: topology } }) }))
  node.unary(NODE_GET_CAPABILITIES, async () => ({ capabilities: [{ rpc: { type: CAPABILITY.stageUnstage } }] }))
  node.unary(NODE_STAGE, async (request) => {
    noted('stage', request)
    const volume = join(storageDir, request.volumeId)
    await mkdir(volume, { recursive: true })
    await mount(volume, request.stagingTargetPath)
    return {}
  })
  node.unary(NODE_UNSTAGE, async (request) => {
    noted('unstage', request)
    await unmount(request.stagingTargetPath)
    return {}
  })
  node.unary(NODE_PUBLISH, async (request) => {
    noted('publish', request)
    const source = request.stagingTargetPath === '' ? join(storageDir, request.volumeId) : request.stagingTargetPath
    await mkdir(source, { recursive: true })
    await mount(source, request.targetPath)
    return {}
  })
  node.unary(NODE_UNPUBLISH, async (request) => {
    noted('unpublish', request)
    await unmount(request.targetPath)
    return {}
  })
  await node.listen(socketPath)

  const registration = new GrpcServer({ clock, log })
  registration.unary(REGISTRATION_GET_INFO, async () => ({ type: 'CSIPlugin', name, endpoint: socketPath, supportedVersions: ['1.0.0'] }))
  registration.unary(REGISTRATION_NOTIFY, async ({ error }) => {
    told.push(error)
    return {}
  })
  await registration.listen(registryPath)

  return {
    calls, told,
    failNext: (method, message) => { failures.set(method, message) },
    async stop() {
      await registration.close()
      await node.close()
      await rm(registryPath, { force: true })
    },
  }
}
