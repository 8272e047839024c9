/** Kinds of versions before v1, as far as upstream serves them with `--runtime-config=api/all=true` and no feature gate; and definitions of custom resources as objects like others. */
import { KINDS, type Json, type Kind } from '../conformance/kinds.ts'

/** The same objects as in v1. */
const AS_IN_V1: readonly [root: string, resources: readonly string[]][] = [
  ['/apis/networking.k8s.io/v1beta1', ['servicecidrs', 'ipaddresses']],
  ['/apis/storage.k8s.io/v1beta1', ['volumeattributesclasses']],
  ['/apis/admissionregistration.k8s.io/v1beta1', ['mutatingadmissionpolicies', 'mutatingadmissionpolicybindings']],
  ['/apis/admissionregistration.k8s.io/v1alpha1', ['mutatingadmissionpolicies', 'mutatingadmissionpolicybindings']],
  ['/apis/resource.k8s.io/v1beta2', ['deviceclasses', 'resourceclaims', 'resourceclaimtemplates', 'resourceslices']],
  ['/apis/resource.k8s.io/v1beta1', ['deviceclasses']],
]

const again = (root: string, resource: string): Kind => {
  const v1 = KINDS.find((kind) => kind.resource === resource && kind.root === root.replace(/[^/]*$/, 'v1'))
  if (!v1) throw new Error(`${resource} is no kind of v1`)
  return { ...v1, root }
}

const claim = { devices: { requests: [{ name: 'r', deviceClassName: 'c', count: 2, selectors: [{ cel: { expression: 'true' } }] }], constraints: [{ requests: ['r'], matchAttribute: 'a.example.com/b' }] } }
const taint = { key: 'example.com/t', value: 'v', effect: 'NoSchedule' }
const candidate = { leaseName: 'l', binaryVersion: '1.36.0', emulationVersion: '1.35.0', strategy: 'OldestEmulationVersion' }

const schema: Json = { type: 'object', properties: { spec: { type: 'object', required: ['a'], properties: { a: { type: 'string', maxLength: 5, default: 'x' }, n: { type: 'integer', minimum: 1 }, l: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' } }, 'x-kubernetes-validations': [{ rule: '!has(self.n) || self.n < 10', message: 'too many' }] }, status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } }

export const EARLY_KINDS: readonly Kind[] = [
  ...AS_IN_V1.flatMap(([root, resources]) => resources.map((resource) => again(root, resource))),
  { root: '/apis/resource.k8s.io/v1beta1', resource: 'resourceclaims', namespaced: true, object: { spec: claim }, status: { patch: { status: { allocation: { devices: {} } } }, metadata: false } },
  { root: '/apis/resource.k8s.io/v1beta1', resource: 'resourceclaimtemplates', namespaced: true, object: { spec: { spec: claim } } },
  { root: '/apis/resource.k8s.io/v1beta1', resource: 'resourceslices', object: { spec: { driver: 'e2e.example.com', nodeName: 'n', pool: { name: 'p', resourceSliceCount: 1 }, devices: [{ name: 'd', basic: { attributes: { a: { string: 'x' } }, capacity: { c: { value: '1Gi' } } } }] } } },
  ...['v1alpha3', 'v1beta2'].map((version): Kind => ({ root: `/apis/resource.k8s.io/${version}`, resource: 'devicetaintrules', object: { spec: { deviceSelector: { driver: 'd.example.com', pool: 'p' }, taint } } })),
  { root: '/apis/resource.k8s.io/v1alpha3', resource: 'resourcepoolstatusrequests', object: { spec: { driver: 'd.example.com', poolName: 'p', limit: 5 } } },
  ...['v1alpha2', 'v1beta1'].map((version): Kind => ({ root: `/apis/coordination.k8s.io/${version}`, resource: 'leasecandidates', namespaced: true, object: { spec: candidate } })),
  {
    root: '/apis/apiextensions.k8s.io/v1', resource: 'customresourcedefinitions', name: (n) => `o${n}s.oracle-made.example.com`, object: {},
    each: (n) => ({
      spec: {
        group: 'oracle-made.example.com', scope: 'Namespaced', names: { plural: `o${n}s`, singular: `o${n}`, kind: `O${n}`, shortNames: [`s${n}`] }, conversion: { strategy: 'None' },
        versions: [
          { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema }, subresources: { status: {}, scale: { specReplicasPath: '.spec.n', statusReplicasPath: '.status.n' } }, selectableFields: [{ jsonPath: '.spec.a' }], additionalPrinterColumns: [{ name: 'A', type: 'string', jsonPath: '.spec.a' }] },
          { name: 'v1beta1', served: false, storage: false, deprecated: true, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } },
        ],
      },
    }),
  },
]
