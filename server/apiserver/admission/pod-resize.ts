/** PodResizeValidator: a bound pod is not resized to more than its node has in all, nor where nodes cannot resize. */
import { compareQuantity, podRequests, quantityMilli, quantityValue, type Pod } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { semanticEqual } from '../kinds/semantic-equal.ts'
import { boundNode } from './bound-node.ts'
import { isFor, refuse } from './refuse.ts'

export const podResize: AdmissionPlugin = {
  name: 'PodResizeValidator',
  validate(request, api) {
    return request.operation !== 'UPDATE' || !isFor(request, '', 'pods') || request.subresource !== 'resize' ? undefined : checkNode(request, api)
  },
}

async function checkNode(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const [pod, old] = [request.object as Pod | undefined, request.old as Pod | undefined]
  const name = pod?.spec?.nodeName
  if (!pod || !name || semanticEqual(pod.spec, old?.spec)) return undefined
  const node = await boundNode(name, api)
  if (!node) return refuse(`node ${JSON.stringify(name)} not found`)
  const os = node.metadata.labels?.['kubernetes.io/os'] ?? 'linux'
  if (os !== 'linux') return because('UnsupportedPlatform', `pod resize is only supported on linux nodes, node ${JSON.stringify(name)} is ${JSON.stringify(os)}`)
  const short = shortages(podRequests(pod), node.status?.allocatable ?? {})
  return short.length === 0 ? undefined : because('NodeCapacity', `node didn't have enough allocatable resources: ${short.join('; ')}`)
}

function shortages(requests: Readonly<Record<string, string>>, allocatable: Readonly<Record<string, string>>): string[] {
  return ([['cpu', quantityMilli], ['memory', quantityValue]] as const).flatMap(([name, figure]) => {
    const [asked, has] = [requests[name] ?? '0', allocatable[name] ?? '0']
    return compareQuantity(asked, has) > 0 ? [`${name}, requested: ${figure(asked)}, allocatable: ${figure(has)}`] : []
  })
}

const because = (reason: string, message: string): Refusal => ({ ...refuse(message), causes: [{ reason }] })
