/**
 * PodNodeSelector: namespaces keep their pods to nodes, by annotation `scheduler.alpha.kubernetes.io/node-selector`; the
 * configuration has a default, and what each namespace's pods may ask for at all.
 */
import { NAMESPACES, type Namespace, type Pod } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { isFor, refuse } from './refuse.ts'

type Labels = Readonly<Record<string, string>>

/** By namespace; `clusterDefaultNodeSelector` is for those without the annotation. */
export type NodeSelectorConfig = Readonly<Record<string, string>>

const ANNOTATIONS = ['scheduler.alpha.kubernetes.io/node-selector']
const CLUSTER_DEFAULT = 'clusterDefaultNodeSelector'

export function podNodeSelector(config: NodeSelectorConfig = {}): AdmissionPlugin {
  /** What the namespace asks of its pods, or why that cannot be read. */
  async function selectorOf(namespace: string, api: AdmissionApi): Promise<{ selector: Labels } | { refusal: Refusal }> {
    const { annotations } = (await api.client.get<Namespace>(NAMESPACES, namespace)).metadata
    const text = ANNOTATIONS.map((key) => annotations?.[key]).find((value) => value !== undefined) ?? config[CLUSTER_DEFAULT] ?? ''
    const selector = parseSelector(text)
    return selector ? { selector } : { refusal: refuse(`invalid selector: [${text}]`) }
  }

  return {
    name: 'PodNodeSelector',
    async mutate(request, api) {
      const spec = specOf(request)
      if (!spec) return undefined
      const found = await selectorOf(request.namespace, api)
      if ('refusal' in found) return found.refusal
      if (conflicts(spec.nodeSelector ?? {}, found.selector)) return refuse('pod node label selector conflicts with its namespace node label selector')
      const merged = { ...spec.nodeSelector, ...found.selector }
      if (Object.keys(merged).length > 0) spec.nodeSelector = merged
      return undefined
    },
    async validate(request, api) {
      const spec = specOf(request)
      if (!spec) return undefined
      const found = await selectorOf(request.namespace, api)
      if ('refusal' in found) return found.refusal
      if (conflicts(spec.nodeSelector ?? {}, found.selector)) return refuse('pod node label selector conflicts with its namespace node label selector')
      const allowed = parseSelector(config[request.namespace] ?? '') ?? {}
      const isWithin = Object.keys(allowed).length === 0 || Object.entries(spec.nodeSelector ?? {}).every(([key, value]) => allowed[key] === value)
      return isWithin ? undefined : refuse('pod node label selector labels conflict with its namespace whitelist')
    },
  }
}

function specOf(request: AdmissionRequest): Pod['spec'] {
  return isFor(request, '', 'pods') && request.subresource === '' && request.operation === 'CREATE' ? (request.object as Pod).spec : undefined
}

const conflicts = (a: Labels, b: Labels): boolean => Object.entries(a).some(([key, value]) => b[key] !== undefined && b[key] !== value)

/** `a=b, c=d`; undefined when it is anything else. */
function parseSelector(text: string): Labels | undefined {
  const found: Record<string, string> = {}
  for (const part of text.split(',').map((p) => p.trim()).filter((p) => p !== '')) {
    const [key, value, more] = part.split('=')
    if (!key || value === undefined || more !== undefined) return undefined
    found[key.trim()] = value.trim()
  }
  return found
}
