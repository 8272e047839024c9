/**
 * What kube-apiserver 1.36.2 answered to requests of which skiff once answered otherwise, recorded with both side by side.
 * `undefined`: it took the object.
 */
import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { causes, cluster } from './kinds.test-support.ts'

type Recorded = readonly [path: string, object: object, causes: readonly string[] | undefined]

const ADMISSION = '/apis/admissionregistration.k8s.io/v1'
const CLAIMS = '/apis/resource.k8s.io/v1/namespaces/default/resourceclaims'
const FLOW = '/apis/flowcontrol.apiserver.k8s.io/v1'
const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const SLICES = '/apis/resource.k8s.io/v1/resourceslices'
const STORAGE = '/apis/storage.k8s.io/v1'

const rule = (operation: string) => ({ operations: [operation], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] })
const mutations = [{ patchType: 'JSONPatch', jsonPatch: { expression: '[]' } }]
const mutating = (over: object) => ({ metadata: { name: 'm' }, spec: { matchConstraints: { resourceRules: [rule('CREATE')] }, mutations, reinvocationPolicy: 'Never', ...over } })
const validating = (over: object) => ({ metadata: { name: 'v' }, spec: { matchConstraints: { resourceRules: [rule('CREATE')] }, validations: [{ expression: 'true', ...over }] } })
const binding = (subject: object) => ({ metadata: { name: 'b' }, subjects: [subject], roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' } })
const claim = (over: object) => ({ metadata: { name: 'c' }, spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'a.example.com' } }], ...over } } })
const slice = (device: object) => ({ metadata: { name: 's' }, spec: { driver: 'a.example.com', nodeName: 'n', pool: { name: 'p', resourceSliceCount: 1 }, devices: [{ name: 'd', ...device }] } })

const CREATIONS: readonly Recorded[] = [
  [`${ADMISSION}/mutatingadmissionpolicies`, mutating({ reinvocationPolicy: undefined }), ['spec.reinvocationPolicy: Required value']],
  [`${ADMISSION}/mutatingadmissionpolicies`, mutating({ failurePolicy: '' }), ['spec.failurePolicy: Unsupported value: "": supported values: "Fail", "Ignore"']],
  [`${ADMISSION}/mutatingadmissionpolicies`, mutating({ matchConstraints: { matchPolicy: '', resourceRules: [rule('CREATE')] } }), ['spec.matchConstraints.matchPolicy: Unsupported value: "": supported values: "Equivalent", "Exact"']],
  [`${ADMISSION}/mutatingadmissionpolicies`, mutating({ matchConstraints: { resourceRules: [rule('DELETE')] } }), ['spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"']],
  [`${ADMISSION}/mutatingadmissionpolicies`, mutating({ mutations: [{ ...mutations[0], applyConfiguration: {} }, { patchType: 'ApplyConfiguration', applyConfiguration: {}, jsonPatch: {} }] }), [
    'spec.mutations[0].applyConfiguration: Invalid value: "{applyConfiguration}": must not be specified when patchType is JSONPatch',
    'spec.mutations[1].applyConfiguration.expression: Required value',
    'spec.mutations[1].jsonPatch: Invalid value: "{jsonPatch}": must not be specified when patchType is ApplyConfiguration',
  ]],
  [`${ADMISSION}/mutatingadmissionpolicies`, mutating({ variables: [{ name: 'a/b', expression: '1' }] }), ['spec.variables[0].name: Invalid value: "a/b": must be a valid CEL identifier']],
  [`${ADMISSION}/mutatingadmissionpolicybindings`, { metadata: { name: 'b' }, spec: { policyName: 'p', matchResources: { resourceRules: [{ ...rule('DELETE'), apiGroups: [] }] } } }, [
    'spec.matchResources.resourceRules[0].apiGroups: Required value',
    'spec.matchResources.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"',
  ]],
  [`${ADMISSION}/validatingadmissionpolicies`, validating({ message: ' ' }), ['spec.validations[0].message: Invalid value: " ": must be non-empty if specified']],
  [`${ADMISSION}/validatingadmissionpolicies`, validating({ reason: 'Unauthorized' }), ['spec.validations[0].reason: Unsupported value: "Unauthorized": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"']],
  [`${RBAC}/clusterrolebindings`, binding({ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'jane', namespace: 'x' }), undefined],
  [`${RBAC}/clusterrolebindings`, { ...binding({ kind: 'ServiceAccount', name: 'sa', namespace: 'Bad_Chars!*' }), metadata: { name: 'b2' } }, undefined],
  [CLAIMS, claim({ config: [{ opaque: { driver: '', parameters: {} } }] }), ['spec.devices.config[0].opaque.driver: Required value']],
  [CLAIMS, claim({ constraints: [{ matchAttribute: 'a/b/c' }] }), undefined],
  [CLAIMS.replace('claims', 'claimtemplates'), { metadata: { name: 't' }, spec: { metadata: { name: 'x', uid: 'y', labels: { a: 'b' } }, spec: {} } }, ['spec.metadata.name: Forbidden: cannot be set', 'spec.metadata.uID: Forbidden: cannot be set']],
  [CLAIMS.replace('/v1/', '/v1beta1/'), { metadata: { name: 'beta' }, spec: { devices: { requests: [{ name: 'r', firstAvailable: [{ name: 's', deviceClassName: 'a.example.com' }] }] } } }, undefined],
  [CLAIMS.replace('/v1/', '/v1beta1/'), { metadata: { name: 'beta' }, spec: { devices: { requests: [{ name: 'r', count: 2 }] } } }, ['spec.devices.requests[0].exactly.deviceClassName: Required value']],
  [SLICES, slice({ attributes: { 'bad key!': { string: 'x' } } }), ["spec.devices[0].attributes: Invalid value: \"bad key!\": a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"]],
  [SLICES, slice({ allowMultipleAllocations: true, capacity: { memory: { value: '4Gi', requestPolicy: { default: '1', validRange: { min: '1Gi' } } } } }), ['spec.devices[0].capacity[memory].requestPolicy.validRange.min: Invalid value: "1": default is less than min: 1Gi']],
  ['/apis/scheduling.k8s.io/v1/priorityclasses', { metadata: { name: 'p' }, value: 1, preemptionPolicy: '' }, ['preemptionPolicy: Required value']],
  [`${STORAGE}/storageclasses`, { metadata: { name: 's' }, provisioner: 'a', volumeBindingMode: '' }, ['volumeBindingMode: Unsupported value: "": supported values: "Immediate", "WaitForFirstConsumer"']],
  [`${STORAGE}/storageclasses`, { metadata: { name: 's' }, provisioner: 'a', allowedTopologies: [{}] }, ['allowedTopologies[0].matchLabelExpressions: Duplicate value: ""']],
  [`${STORAGE}/csidrivers`, { metadata: { name: 's' }, spec: { fsGroupPolicy: '' } }, ['spec.fsGroupPolicy: Unsupported value: "": supported values: "File", "None", "ReadWriteOnceWithFSType"']],
  [`${FLOW}/prioritylevelconfigurations`, { metadata: { name: 'p' }, spec: { type: 'Exempt' } }, ["spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'"]],
  ['/apis/certificates.k8s.io/v1/certificatesigningrequests', { metadata: { name: 'c' }, spec: { signerName: 'x', usages: ['client auth'] } }, [
    'spec.request: Invalid value: null: PEM block type must be CERTIFICATE REQUEST',
    "spec.signerName: Invalid value: \"x\": must be a fully qualified domain and path of the form 'example.com/signer-name'",
  ]],
]

test('new objects are taken and refused as kube-apiserver 1.36.2 took and refused them', async () => {
  const c = cluster()
  for (const [path, object, expected] of CREATIONS) {
    const answer = await c.call('POST', path, object)
    deepStrictEqual([path, answer.status, answer.status === 201 ? undefined : causes(answer).toSorted()], [path, expected ? 422 : 201, expected?.toSorted()], JSON.stringify(object))
  }
})

test('a PUT that must name its revision and does not is refused in the name of the resource', async () => {
  const c = cluster()
  await c.create('/apis/node.k8s.io/v1/runtimeclasses', { metadata: { name: 'r' }, handler: 'h' })
  const { json } = await c.call('PUT', '/apis/node.k8s.io/v1/runtimeclasses/r', { metadata: { name: 'r' }, handler: 'h' })
  deepStrictEqual([json['message'], json['details']?.['kind']], ['runtimeclasses.node.k8s.io "r" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update', 'runtimeclasses'])
})

test('an event of the new API is complained of as one of the old; a dry run has no revision', async () => {
  const c = cluster()
  const event = { metadata: { name: 'e', namespace: 'default' }, eventTime: '2026-01-01T00:00:00.000000Z', reportingController: 'a.b/c', reportingInstance: 'i', action: 'A', reason: 'R', type: 'Normal', regarding: { namespace: 'default' } }
  const made = await c.call('POST', '/apis/events.k8s.io/v1/namespaces/default/events?dryRun=All', event)
  deepStrictEqual([made.status, made.json['metadata']?.['resourceVersion']], [201, undefined])
  const refused = await c.call('POST', '/apis/events.k8s.io/v1/namespaces/default/events', { ...event, action: '' })
  deepStrictEqual([refused.json['message'], refused.json['details']?.['group']], ['Event "e" is invalid: action: Required value', undefined])
})
