/** AlwaysPullImages: nobody uses a private image without credentials because another pod has pulled it to the node. */
import type { Container, Pod, PodSpec } from '#api/types/index.ts'
import { containersOf } from '#api/types/index.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import { notSupported } from '../field-error.ts'
import { isFor, refuse } from './refuse.ts'

const ALWAYS = 'Always'

export const alwaysPullImages: AdmissionPlugin = {
  name: 'AlwaysPullImages',
  mutate(request) {
    const spec = specOf(request)
    if (!spec) return Promise.resolve(undefined)
    for (const { container } of containersOf(spec)) container.imagePullPolicy = ALWAYS
    for (const { image } of spec.volumes ?? []) if (image) image.pullPolicy = ALWAYS
    return Promise.resolve(undefined)
  },
  validate(request) {
    const spec = specOf(request)
    if (!spec) return Promise.resolve(undefined)
    const errors = [
      ...[...containersOf(spec)].filter(({ container }) => container.imagePullPolicy !== ALWAYS).map(({ container, path }) => notSupported(`spec.${path}.imagePullPolicy`, container.imagePullPolicy ?? '', [ALWAYS])),
      ...(spec.volumes ?? []).flatMap(({ image }, i) => (image && image.pullPolicy !== ALWAYS ? [notSupported(`spec.volumes[${i}].image.pullPolicy`, image.pullPolicy ?? '', [ALWAYS])] : [])),
    ]
    const [first] = errors
    return Promise.resolve(first && refuse(errors.length === 1 ? `${first.field}: ${first.message}` : `[${errors.map((e) => `${e.field}: ${e.message}`).join(', ')}]`))
  },
}

/** Undefined: nothing to look at. A pod's policies cannot change: an update without new images must not be held up by them. */
function specOf(request: AdmissionRequest): PodSpec | undefined {
  if (!isFor(request, '', 'pods') || !['', 'ephemeralcontainers'].includes(request.subresource) || (request.operation !== 'CREATE' && request.operation !== 'UPDATE')) return undefined
  const spec = (request.object as Pod).spec
  if (!spec || request.operation === 'CREATE') return spec
  const before = (request.old as Pod).spec
  const images = (of: PodSpec): Container['image'][] => [...containersOf(of)].map(({ container }) => container.image).concat((of.volumes ?? []).map((v) => v.image?.reference))
  const old = new Set(before ? images(before) : [])
  return images(spec).some((image) => !old.has(image)) ? spec : undefined
}
