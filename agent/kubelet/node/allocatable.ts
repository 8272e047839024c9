/** What of a node pods may have: its capacity less what is reserved, and less what eviction keeps free (upstream's node allocatable). Pure. */
import { addQuantity, compareQuantity, formatQuantity, fromValue, parseQuantity, quantityMilli, quantityValue, subtractQuantity } from '#api/types/quantity.ts'
import { UsageError } from '#base/errors.ts'
import type { KubeletConfig } from '../config.ts'
import { parseThresholds } from '../eviction/thresholds.ts'

type Amounts = Readonly<Record<string, string>>
export type Reservations = Pick<KubeletConfig, 'systemReserved' | 'kubeReserved' | 'evictionHard'>

/** For the node's status, the scheduler's measure. */
export function nodeAllocatable(capacity: Amounts, config: Reservations): Record<string, string> {
  const kept = keptFree(capacity, config)
  // Pages that are set aside cannot be had as ordinary memory.
  const huge = Object.entries(capacity).flatMap(([name, total]) => (name.startsWith('hugepages-') ? [total] : []))
  return Object.fromEntries(Object.entries(capacity).map(([name, total]) => {
    let left = parseQuantity(total)
    for (const less of [reserved(config, name), kept[name], ...(name === 'memory' ? huge : [])]) if (less !== undefined) left = subtractQuantity(left, parseQuantity(less))
    return [name, formatQuantity(left.nano > 0n ? left : { ...left, nano: 0n })]
  }))
}

/** For the cgroup of all pods. What eviction keeps free is not taken off: it could never be used otherwise. */
export function podsLimits(capacity: Amounts, pidsMax: number, config: Reservations): { cpuMilli: number; memoryBytes: number; pids?: number } {
  const left = (name: string, total: number, value: (amount: string | undefined) => number) => Math.max(0, total - value(reserved(config, name)))
  return {
    cpuMilli: left('cpu', quantityMilli(capacity.cpu), quantityMilli), memoryBytes: left('memory', quantityValue(capacity.memory), quantityValue),
    ...(Number.isFinite(pidsMax) && { pids: left('pid', pidsMax, quantityValue) }),
  }
}

/** Throws UsageError where nothing would be left to run pods on, as upstream ends then. */
export function checkReservations(capacity: Amounts, config: Reservations): void {
  const kept = keptFree(capacity, config)
  for (const [name, total] of Object.entries(capacity)) {
    const asked = [reserved(config, name), kept[name]].filter((amount) => amount !== undefined).reduce((sum, amount) => addQuantity(sum, parseQuantity(amount)), parseQuantity('0'))
    const text = formatQuantity({ ...asked, format: parseQuantity(total).format })
    if (compareQuantity(text, total) > 0) throw new UsageError(`--kube-reserved, --system-reserved, --eviction-hard: resource "${name}" has a reservation of ${text} but this machine's capacity is ${total}: reserve less`)
  }
}

function reserved({ systemReserved, kubeReserved }: Reservations, name: string): string | undefined {
  const [system, kube] = [systemReserved[name], kubeReserved[name]]
  if (system === undefined || kube === undefined) return system ?? kube
  return formatQuantity(addQuantity(parseQuantity(system), parseQuantity(kube)))
}

/** By hard thresholds of memory and of the node's disk. */
function keptFree(capacity: Amounts, { evictionHard }: Reservations): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const { signal, limit } of parseThresholds({ evictionHard, evictionSoft: {}, evictionSoftGracePeriod: {}, evictionMinimumReclaim: {} })) {
    const resource = signal === 'memory.available' ? 'memory' : signal === 'nodefs.available' ? 'ephemeral-storage' : undefined
    const total = resource === undefined ? undefined : capacity[resource]
    if (resource === undefined || total === undefined) continue
    kept[resource] = fromValue(Math.floor('part' in limit ? quantityValue(total) * limit.part : limit.amount), 'BinarySI')
  }
  return kept
}
