/** What is known of claims and devices at one moment, for rules that ask (dynamic-resources.ts). */
import type { AllocationResult, DeviceClass, ResourceSlice, ResourceV1ResourceClaim, Stored } from '#api/types/index.ts'
import type { SelectorEngine } from './selectors.ts'

export type Claim = Stored<ResourceV1ResourceClaim>

export interface DeviceLookup {
  claim(namespace: string, name: string): Claim | undefined
  claims(): readonly Claim[]
  /** What a claim is about to be given: decided, but not written yet. By uid. */
  pending(): ReadonlyMap<string, AllocationResult>
  deviceClass(name: string): Stored<DeviceClass> | undefined
  deviceClasses(): readonly Stored<DeviceClass>[]
  slices(): readonly Stored<ResourceSlice>[]
  /** How long devices were waited for is asked by it. */
  nowMs(): number
  readonly selectors: SelectorEngine
}
