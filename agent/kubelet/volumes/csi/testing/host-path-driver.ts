/**
 * A CSI driver for tests, after the example of csi-driver-host-path: a volume is a directory; a file behind a loop device where
 * it is of mode Block; or memory, where its attribute `ram` says how many bytes (what can grow without CAP_SYS_RESOURCE). Staged and published by bind mounts, registered by
 * a socket as node-driver-registrar makes it. It keeps no state but those, answers repeated calls as the specification wants, and
 * notes what it was asked.
 */
import { mkdir, open, rm, stat, statfs, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { GRPC, GrpcError } from '#base/grpc/grpc-status.ts'
import { GrpcServer } from '#base/grpc/grpc-server.ts'
import type { Log } from '#base/log.ts'
import { runCommand } from '../../../run-command.ts'
import { systemMounter } from '../../mounter.ts'
import { CAPABILITY, NODE_EXPAND, NODE_GET_CAPABILITIES, NODE_GET_INFO, NODE_PUBLISH, NODE_STAGE, NODE_STATS, NODE_UNPUBLISH, NODE_UNSTAGE, UNIT } from '../calls.ts'
import { showPlugin } from '../../../plugins/testing/registration.ts'

export interface HostPathDriverOptions {
  name: string
  nodeId: string
  /** The agent's: `plugins_registry` and `plugins` are below it. */
  kubeletDir: string
  /** Where volumes are kept. */
  storageDir: string
  /** Besides staging. */
  can?: readonly (keyof typeof CAPABILITY)[]
  topology?: Readonly<Record<string, string>>
  clock: Clock
  log: Log
}

export interface HostPathDriver {
  readonly calls: { method: string; request: Readonly<Record<string, unknown>> }[]
  /** What the kubelet said of the registration: an error, '' when it took it. */
  readonly told: string[]
  /** The next call of this method fails with this. */
  failNext(method: string, message: string, code?: number): void
  /** How many volumes it can attach here, from now on. */
  holds(volumes: number): void
  stop(): Promise<void>
}

export async function startHostPathDriver({ name, nodeId, kubeletDir, storageDir, topology, can = [], clock, log }: HostPathDriverOptions): Promise<HostPathDriver> {
  const calls: HostPathDriver['calls'] = []
  const failures = new Map<string, GrpcError>()
  const limit = { volumes: 8 }
  const noted = (method: string, request: object) => {
    calls.push({ method, request: { ...request } })
    const failure = failures.get(method)
    failures.delete(method)
    if (failure) throw failure
  }
  const pluginDir = join(kubeletDir, 'plugins', name)
  const socketPath = join(pluginDir, 'csi.sock')
  const registryPath = join(kubeletDir, 'plugins_registry', `${name}-reg.sock`)
  for (const dir of [pluginDir, join(kubeletDir, 'plugins_registry'), storageDir]) await mkdir(dir, { recursive: true })

  const mount = async (source: string, target: string) => {
    await mkdir(target, { recursive: true })
    if (!(await systemMounter.below(target)).includes(target)) await systemMounter.bind(source, target)
  }
  const fileOf = (volumeId: string) => join(storageDir, `${volumeId}.disk`)
  const loopOf = async (volumeId: string): Promise<string | undefined> => (await runCommand('losetup', ['-j', fileOf(volumeId), '-O', 'NAME', '-n'])).trim().split('\n')[0] || undefined
  /** The loop device of the volume's file; both are made where they are missing. */
  const diskOf = async (volumeId: string, sizeBytes: number): Promise<string> => {
    const file = await open(fileOf(volumeId), 'a')
    try {
      if ((await file.stat()).size === 0) await file.truncate(sizeBytes)
    } finally {
      await file.close()
    }
    return (await loopOf(volumeId)) ?? (await runCommand('losetup', ['-f', '--show', fileOf(volumeId)])).trim()
  }
  const unmount = async (target: string) => {
    await systemMounter.unmount(target)
    await rm(target, { recursive: true, force: true })
  }
  const DISK_BYTES = 16 * 1024 * 1024

  const node = new GrpcServer({ clock, log })
  node.unary(NODE_GET_INFO, async () => ({ nodeId, maxVolumesPerNode: limit.volumes, ...(topology && { accessibleTopology: { segments: topology } }) }))
  node.unary(NODE_GET_CAPABILITIES, async () => ({ capabilities: (['stageUnstage', ...can] as const).map((each) => ({ rpc: { type: CAPABILITY[each] } })) }))
  node.unary(NODE_STAGE, async (request) => {
    noted('stage', request)
    const ram = request.volumeContext['ram']
    if (request.volumeCapability?.block) await diskOf(request.volumeId, DISK_BYTES)
    else if (ram !== undefined) await systemMounter.tmpfs(request.stagingTargetPath, { sizeBytes: Number(ram), mode: 0o755 })
    if (request.volumeCapability?.block || ram !== undefined) return {}
    const volume = join(storageDir, request.volumeId)
    await mkdir(volume, { recursive: true })
    await mount(volume, request.stagingTargetPath)
    return {}
  })
  node.unary(NODE_UNSTAGE, async (request) => {
    noted('unstage', request)
    await unmount(request.stagingTargetPath)
    const loop = await loopOf(request.volumeId)
    if (loop !== undefined) await runCommand('losetup', ['-d', loop])
    return {}
  })
  node.unary(NODE_PUBLISH, async (request) => {
    noted('publish', request)
    if (request.volumeCapability?.block) {
      await writeFile(request.targetPath, '', { flag: 'a' })
      if (!(await systemMounter.below(request.targetPath)).includes(request.targetPath)) await systemMounter.bind(await diskOf(request.volumeId, DISK_BYTES), request.targetPath)
      return {}
    }
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
  node.unary(NODE_EXPAND, async (request) => {
    noted('expand', request)
    const sizeBytes = request.capacityRange?.requiredBytes ?? 0
    const loop = await loopOf(request.volumeId)
    if (loop !== undefined) {
      await truncate(fileOf(request.volumeId), sizeBytes)
      await runCommand('losetup', ['-c', loop])
    } else {
      await runCommand('mount', ['-o', `remount,size=${sizeBytes}`, request.stagingTargetPath])
    }
    return { capacityBytes: sizeBytes }
  })
  node.unary(NODE_STATS, async (request) => {
    if ((await stat(request.volumePath)).isBlockDevice()) return { usage: [{ total: (await stat(fileOf(request.volumeId))).size, unit: UNIT.bytes }] }
    const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(request.volumePath)
    return { usage: [{ available: bavail * bsize, total: blocks * bsize, used: (blocks - bfree) * bsize, unit: UNIT.bytes }, { available: ffree, total: files, used: files - ffree, unit: UNIT.inodes }], volumeCondition: { abnormal: false, message: '' } }
  })
  await node.listen(socketPath)

  const registration = await showPlugin(registryPath, { type: 'CSIPlugin', name, endpoint: socketPath, supportedVersions: ['1.0.0'] }, { clock, log })

  return {
    calls, told: registration.told,
    holds: (volumes) => { limit.volumes = volumes },
    failNext: (method, message, code = GRPC.internal) => { failures.set(method, new GrpcError(code, message)) },
    async stop() {
      await registration.stop()
      await node.close()
    },
  }
}
