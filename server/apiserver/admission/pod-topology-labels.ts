/** PodTopologyLabels (KEP-4742): a pod carries the zone and region of its node, so that it can read them itself. */
import { NODES, type Binding, type KubeObject, type Node, type Pod } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { isFor } from './refuse.ts'

const LABELS = ['topology.kubernetes.io/zone', 'topology.kubernetes.io/region']

export const podTopologyLabels: AdmissionPlugin = {
  name: 'PodTopologyLabels',
  mutate(request, api) {
    return request.operation !== 'CREATE' || !isFor(request, '', 'pods') || !request.object ? undefined : label(request, request.object, api)
  },
}

async function label({ subresource }: AdmissionRequest, object: KubeObject, api: AdmissionApi): Promise<Refusal | undefined> {
  if (subresource === 'binding') {
    const { target } = object as Binding
    if (!target?.kind || target.kind === 'Node') await copyLabels(object, target?.name, api)
  } else if (subresource === '') {
    await copyLabels(object, (object as Pod).spec?.nodeName, api)
  }
  return undefined
}

/** What the node says holds, whatever the object said. A node that is not there says nothing. */
async function copyLabels(object: KubeObject, nodeName: string | undefined, api: AdmissionApi): Promise<void> {
  if (!nodeName) return
  const labels = await labelsOf(nodeName, api)
  const found = LABELS.flatMap((key) => (labels?.[key] === undefined ? [] : [[key, labels[key]] as const]))
  if (found.length === 0) return
  const meta = (object.metadata ??= {})
  meta.labels = { ...meta.labels, ...Object.fromEntries(found) }
}

async function labelsOf(name: string, api: AdmissionApi): Promise<Record<string, string> | undefined> {
  try {
    return (await api.client.get<Node>(NODES, name)).metadata.labels
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}
