/** What a pod is given of the node's hardware: devices of plugins (devices/), and what drivers prepare for its resource claims (dra/). */
import { RESOURCE_CLAIMS, type Container, type Pod, type ResourceV1ResourceClaim, type Stored } from '#api/types/index.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { ContainerConfig, Mount } from '#cri/index.ts'
import type { DeviceManager } from './devices/device-manager.ts'
import type { ClaimManager } from './dra/claim-manager.ts'
import type { ContainerEvent } from './image-puller.ts'
import type { ObjectSource } from './objects.ts'

export interface HardwareDeps {
  devices: DeviceManager
  claims: ClaimManager
  objects: ObjectSource
}

export interface ContainerHardware {
  readonly devices: Readonly<ContainerConfig['devices']>
  readonly mounts: readonly Mount[]
  readonly env: readonly { key: string; value: string }[]
  readonly annotations: Readonly<Record<string, string>>
  /** Names that the runtime knows; those of claims first. */
  readonly cdiDevices: readonly string[]
}

export interface PodHardware {
  /** Of plugins. Why the pod cannot have them: it fails for good. */
  allocate(): Promise<string | undefined>
  /** Before its sandbox starts. Throws CLAIMS_UNPREPARED, of which the pod's Events tell. */
  prepareClaims(signal: AbortSignal): Promise<void>
  forContainer(container: Container): Promise<ContainerHardware>
}

/** `event` is about the pod. */
export function podHardware({ devices, claims, objects }: HardwareDeps, pod: Stored<Pod>, event: ContainerEvent): PodHardware {
  const { uid, namespace = '' } = pod.metadata
  const readClaim = (name: string) => objects.read<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, uid, namespace, name) as Promise<Stored<ResourceV1ResourceClaim> | undefined>
  return {
    async allocate() {
      try {
        await devices.allocate(pod)
        return undefined
      } catch (error) {
        if (!hasCode(error, 'DEVICES_UNAVAILABLE')) throw error
        return asError(error).message
      }
    },
    async prepareClaims(signal) {
      try {
        await claims.prepare(pod, readClaim, signal)
      } catch (error) {
        if (!signal.aborted) event('Warning', 'FailedPrepareDynamicResources', `Failed to prepare dynamic resources: ${asError(error).message}`)
        throw error
      }
    },
    async forContainer(container) {
      const granted = await devices.forContainer(pod, container)
      return {
        devices: granted.devices,
        mounts: granted.mounts.map(({ containerPath, hostPath, readOnly }) => ({ containerPath, hostPath, readonly: readOnly, propagation: 'private' })),
        env: Object.entries(granted.envs).map(([key, value]) => ({ key, value })),
        annotations: granted.annotations,
        cdiDevices: [...new Set([...claims.forContainer(pod, container), ...(granted.cdiDevices ?? [])])],
      }
    },
  }
}
