/** NodeDeclaredFeatureValidator (KEP-5328): a change of a bound pod that needs a feature of its node is refused where the node does not declare it. */
import type { Container, Pod, PodSpec } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, Refusal } from '../admission.ts'
import { semanticEqual } from '../kinds/semantic-equal.ts'
import { boundNode } from './bound-node.ts'
import { isFor, refuse } from './refuse.ts'

/** By the feature's name, as nodes declare it, in its order: whether a change needs it. What only scheduling needs is the scheduler's. */
const NEEDED: Readonly<Record<string, (now: PodSpec, was: PodSpec) => boolean>> = {
  InPlacePodLevelResourcesVerticalScaling: (now, was) => !semanticEqual(now.resources, was.resources),
  InPlacePodVerticalScalingInitContainers: (now, was) => (was.initContainers ?? []).some((old, i) => !isSidecar(old) && !semanticEqual(now.initContainers?.[i]?.resources, old.resources)),
}

export const nodeDeclaredFeatures: AdmissionPlugin = {
  name: 'NodeDeclaredFeatureValidator',
  validate(request, api) {
    if (request.operation !== 'UPDATE' || !isFor(request, '', 'pods') || (request.subresource !== '' && request.subresource !== 'resize')) return undefined
    const [now, was] = [(request.object as Pod | undefined)?.spec, (request.old as Pod | undefined)?.spec]
    if (!now?.nodeName || !was) return undefined
    const needed = Object.keys(NEEDED).filter((name) => NEEDED[name]?.(now, was))
    return needed.length === 0 ? undefined : checkNode(now.nodeName, needed, api)
  },
}

async function checkNode(name: string, needed: readonly string[], api: AdmissionApi): Promise<Refusal | undefined> {
  const node = await boundNode(name, api)
  if (!node) return refuse(`node ${JSON.stringify(name)} not found`)
  const missing = needed.filter((feature) => !(node.status?.declaredFeatures ?? []).includes(feature))
  return missing.length === 0 ? undefined : refuse(`pod update requires features ${missing.join(', ')} which are not available on node ${JSON.stringify(name)}`)
}

const isSidecar = ({ restartPolicy }: Container): boolean => restartPolicy === 'Always'
