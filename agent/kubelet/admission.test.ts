import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '#api/types/index.ts'
import { refusal } from './admission.ts'
import { aContainer, aPod } from './testing/builders.ts'

const asks = (requests: Record<string, string>) => aPod({ containers: [aContainer('a', { resources: { requests } })] })
const allocatable = { cpu: '2', memory: '1Gi', pods: '3' }

const sets = (name: string) => aPod({ securityContext: { sysctls: [{ name, value: '1' }] } })
const opens = (hostPort: number, more: object = {}) => aPod({ containers: [aContainer('a', { ports: [{ containerPort: 80, hostPort, ...more }] })] })
const node = { metadata: { name: 'n', labels: { disk: 'hdd' } }, spec: { taints: [{ key: 'gone', effect: 'NoExecute' }, { key: 'other', effect: 'NoSchedule' }] } }

const table: [string, Omit<Parameters<typeof refusal>[0], 'node' | 'allowedSysctls'> & { node?: Node; allowedSysctls?: string[] }, unknown][] = [
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
  ['what the node does not count is not refused', { pod: asks({ 'example.com/gpu': '1' }), others: [], allocatable }, undefined],
  ['a host port that is taken', { pod: opens(80), others: [opens(80)], allocatable }, { reason: 'NodePorts', message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports" }],
  ['the same host port of another protocol or address is free', { pod: opens(80), others: [opens(80, { protocol: 'UDP' }), opens(81)], allocatable }, undefined],
  ['0.0.0.0 is every address', { pod: opens(80, { hostIP: '10.0.0.1' }), others: [opens(80)], allocatable }, { reason: 'NodePorts', message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports" }],
  ['a node selector that this node does not match', { pod: aPod({ nodeSelector: { disk: 'ssd' } }), others: [], allocatable, node }, { reason: 'NodeAffinity', message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector" }],
  ['one that it matches', { pod: aPod({ nodeSelector: { disk: 'hdd' } }), others: [], allocatable, node: { metadata: node.metadata } }, undefined],
  ['a node that is not known keeps nobody out', { pod: aPod({ nodeSelector: { disk: 'ssd' } }), others: [], allocatable }, undefined],
  ['a NoExecute taint', { pod: aPod({ nodeSelector: { disk: 'hdd' } }), others: [], allocatable, node }, { reason: 'TaintToleration', message: "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate" }],
  ['one that is tolerated', { pod: aPod({ tolerations: [{ key: 'gone', operator: 'Exists' }] }), others: [], allocatable, node }, undefined],
]
for (const [name, input, expected] of table) test(name, () => assert.deepStrictEqual(refusal({ node: undefined, allowedSysctls: [], ...input }), expected))
