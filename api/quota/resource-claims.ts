/** What device claims use: themselves, and devices by their class, as many as they may get (upstream's evaluator of resource claims). */
import type { DeviceSubRequest, ResourceV1ResourceClaim as ResourceClaim } from '../types/generated/models.ts'
import type { Evaluator } from './evaluator.ts'

const COUNT = 'count/resourceclaims.resource.k8s.io'
export const DEVICES_BY_CLASS = '.deviceclass.resource.k8s.io/devices'
/** The most that one claim can be given, and so what `All` may mean. */
const RESULTS_MAX = 32

export const resourceClaimEvaluator: Evaluator = {
  handles: ({ operation, subresource }) => subresource === '' && operation === 'CREATE',
  matchingResources: (names) => names.filter((name) => name === COUNT || name.endsWith(DEVICES_BY_CLASS)),
  usage(object) {
    const used = new Map<string, number>()
    const devices = ({ allocationMode, count }: Partial<Pick<DeviceSubRequest, 'allocationMode' | 'count'>>): number => (allocationMode === 'All' ? RESULTS_MAX : (count ?? 1))
    const add = (deviceClass: string, n: number): void => { used.set(deviceClass, (used.get(deviceClass) ?? 0) + n) }
    for (const { exactly, firstAvailable } of (object as ResourceClaim).spec?.devices?.requests ?? []) {
      if (exactly) add(exactly.deviceClassName, devices(exactly))
      // Of alternatives the most of each class.
      const most = new Map<string, number>()
      for (const sub of firstAvailable ?? []) most.set(sub.deviceClassName, Math.max(most.get(sub.deviceClassName) ?? 0, devices(sub)))
      for (const [deviceClass, n] of most) add(deviceClass, n)
    }
    return { [COUNT]: '1', ...Object.fromEntries([...used].map(([deviceClass, n]) => [`${deviceClass}${DEVICES_BY_CLASS}`, String(n)])) }
  },
}
