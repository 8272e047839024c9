import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '#api/types/index.ts'
import { decideAdmission, type AdmissionInput } from './admission.ts'
import { aContainer, aPod } from './testing/builders.ts'

const asks = (requests: Record<string, string>) => aPod({ containers: [aContainer('a', { resources: { requests } })] })
const allocatable = { cpu: '2', memory: '1Gi', pods: '3' }

const sets = (name: string) => aPod({ securityContext: { sysctls: [{ name, value: '1' }] } })
const opens = (hostPort: number, more: object = {}) => aPod({ containers: [aContainer('a', { ports: [{ containerPort: 80, hostPort, ...more }] })] })
const node = { metadata: { name: 'n', labels: { disk: 'hdd' } }, spec: { taints: [{ key: 'gone', effect: 'NoExecute' }, { key: 'other', effect: 'NoSchedule' }] } }

const dongles: Node = { metadata: { name: 'n' }, status: { allocatable: { cpu: '1m', 'example.com/dongle': '2' } } }

const noDongles: Node = { metadata: { name: 'n' }, status: { allocatable: { 'example.com/dongle': '0' } } }
const byClaim = (count: string) => ({ ...asks({ 'example.com/dongle': count }), status: { extendedResourceClaimStatus: { resourceClaimName: 'c', requestMappings: [{ containerName: 'a', resourceName: 'example.com/dongle', requestName: 'container-0-request-0' }] } } })

const critical = (requests: Record<string, string>, more: object = {}) => aPod({ priority: 2_000_000_000, containers: [aContainer('a', { resources: { requests } })], ...more })

/** Undefined: it may come in, and nobody has to go for it. */
const table: [string, Omit<AdmissionInput, 'node' | 'allowedSysctls'> & { node?: Node; allowedSysctls?: string[] }, { reason: string; message: string } | undefined][] = [
  ['a kernel setting that is not safe', { pod: sets('kernel.msgmax'), others: [], allocatable }, { reason: 'SysctlForbidden', message: 'forbidden sysctl: "kernel.msgmax" not allowlisted' }],
  ['one that this node lets pods set', { pod: sets('kernel.msgmax'), others: [], allocatable, allowedSysctls: ['kernel.msg*'] }, undefined],
  ['a profile of AppArmor where there is none', { pod: aPod({ securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }), others: [], allocatable, hasAppArmor: false }, { reason: 'AppArmor', message: 'Cannot enforce AppArmor: AppArmor is not enabled on the host' }],
  ['one of an old annotation', { pod: aPod({}, { annotations: { 'container.apparmor.security.beta.kubernetes.io/app': 'localhost/x' } }), others: [], allocatable, hasAppArmor: false }, { reason: 'AppArmor', message: 'Cannot enforce AppArmor: AppArmor is not enabled on the host' }],
  ['who wants to be unconfined comes in without AppArmor', { pod: aPod({ securityContext: { appArmorProfile: { type: 'RuntimeDefault' } }, containers: [aContainer('app', { securityContext: { appArmorProfile: { type: 'Unconfined' } } })] }), others: [], allocatable, hasAppArmor: false }, undefined],
  ['with AppArmor any profile may', { pod: aPod({ securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: 'x' } } }), others: [], allocatable, hasAppArmor: true }, undefined],
  ['what fits comes in', { pod: asks({ cpu: '1' }), others: [asks({ cpu: '1' })], allocatable }, undefined],
  ['CPU is counted in thousandths', { pod: asks({ cpu: '1' }), others: [asks({ cpu: '1500m' })], allocatable }, { reason: 'OutOfcpu', message: "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000" }],
  ['memory in bytes', { pod: asks({ memory: '2Gi' }), others: [], allocatable }, { reason: 'OutOfmemory', message: "Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824" }],
  ['pods by number', { pod: aPod(), others: [aPod(), aPod(), aPod()], allocatable }, { reason: 'OutOfpods', message: "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3" }],
  ['who asks for nothing of what is full comes in', { pod: aPod(), others: [asks({ cpu: '2' })], allocatable }, undefined],
  ['huge pages of a size that the machine has not', { pod: asks({ 'hugepages-1Gi': '1Gi' }), others: [], allocatable }, { reason: 'OutOfhugepages-1Gi', message: "Node didn't have enough resource: hugepages-1Gi, requested: 1073741824, used: 0, capacity: 0" }],
  ['what the node does not count is not refused', { pod: asks({ 'example.com/gpu': '1' }), others: [], allocatable }, undefined],
  ['what people say the node has, and is taken', { pod: asks({ 'example.com/dongle': '2' }), others: [asks({ 'example.com/dongle': '1' })], allocatable, node: dongles }, { reason: 'OutOfexample.com/dongle', message: "Node didn't have enough resource: example.com/dongle, requested: 2, used: 1, capacity: 2" }],
  ['what a claim has for it is not the node\'s', { pod: byClaim('1'), others: [], allocatable, node: noDongles }, undefined],
  ['what claims have for others is not taken from the node', { pod: asks({ 'example.com/dongle': '2' }), others: [byClaim('1')], allocatable, node: dongles }, undefined],
  ['what nobody has for it', { pod: asks({ 'example.com/dongle': '1' }), others: [], allocatable, node: noDongles }, { reason: 'OutOfexample.com/dongle', message: "Node didn't have enough resource: example.com/dongle, requested: 1, used: 0, capacity: 0" }],
  ['what a plugin has is for it to say', { pod: asks({ 'example.com/dongle': '3' }), others: [], allocatable, node: dongles, isDevice: (resource) => resource === 'example.com/dongle' }, undefined],
  ['a host port that is taken', { pod: opens(80), others: [opens(80)], allocatable }, { reason: 'NodePorts', message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports" }],
  ['the same host port of another protocol or address is free', { pod: opens(80), others: [opens(80, { protocol: 'UDP' }), opens(81)], allocatable }, undefined],
  ['0.0.0.0 is every address', { pod: opens(80, { hostIP: '10.0.0.1' }), others: [opens(80)], allocatable }, { reason: 'NodePorts', message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports" }],
  ['a node selector that this node does not match', { pod: aPod({ nodeSelector: { disk: 'ssd' } }), others: [], allocatable, node }, { reason: 'NodeAffinity', message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector" }],
  ['one that it matches', { pod: aPod({ nodeSelector: { disk: 'hdd' } }), others: [], allocatable, node: { metadata: node.metadata } }, undefined],
  ['a node that is not known keeps nobody out', { pod: aPod({ nodeSelector: { disk: 'ssd' } }), others: [], allocatable }, undefined],
  ['a NoExecute taint', { pod: aPod({ nodeSelector: { disk: 'hdd' } }), others: [], allocatable, node }, { reason: 'TaintToleration', message: "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate" }],
  ['a static pod minds no taint', { pod: aPod({ nodeSelector: { disk: 'hdd' } }, { annotations: { 'kubernetes.io/config.source': 'file' } }), others: [], allocatable, node }, undefined],
  ['another operating system', { pod: aPod({ os: { name: 'windows' } }), others: [], allocatable }, { reason: 'PodOSNotSupported', message: "Failed to admit pod as the OS field doesn't match node OS" }],
  ['a label of another one', { pod: aPod({}, { labels: { 'kubernetes.io/os': 'windows' } }), others: [], allocatable }, { reason: 'PodOSSelectorNodeLabelDoesNotMatch', message: "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label" }],
  ['the first of what is short is told, in the scheduler\'s order', { pod: asks({ memory: '2Gi', cpu: '3' }), others: [], allocatable }, { reason: 'OutOfcpu', message: "Node didn't have enough resource: cpu, requested: 3000, used: 0, capacity: 2000" }],
  ['a critical pod that more is asked for than all others have', { pod: critical({ cpu: '3' }), others: [asks({ cpu: '500m' })], allocatable }, { reason: 'UnexpectedAdmissionError', message: 'Unexpected error while attempting to recover from admission failure: preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: [(res: cpu, q: 1000), ]' }],
  ['one that does not fit otherwise pushes nobody out', { pod: critical({ cpu: '2' }, { nodeSelector: { disk: 'ssd' } }), others: [asks({ cpu: '1' })], allocatable, node }, { reason: 'NodeAffinity', message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector" }],
  ['one that finds room pushes nobody out', { pod: critical({ cpu: '1' }), others: [asks({ cpu: '1' })], allocatable }, undefined],
  ['one that is tolerated', { pod: aPod({ tolerations: [{ key: 'gone', operator: 'Exists' }] }), others: [], allocatable, node }, undefined],
]
for (const [name, input, expected] of table) test(name, () => assert.deepStrictEqual(decideAdmission({ node: undefined, allowedSysctls: [], ...input }), expected === undefined ? { ok: true, preempt: [] } : { ok: false, ...expected }))

test('a critical pod that finds no room comes in, and is told who goes for it and for want of what', () => {
  const [small, large] = [asks({ cpu: '500m' }), asks({ cpu: '1' })]
  assert.deepStrictEqual(decideAdmission({ pod: critical({ cpu: '1' }), others: [small, large], allocatable, node: undefined, allowedSysctls: [] }), { ok: true, preempt: [small], resource: 'cpu' })
})
