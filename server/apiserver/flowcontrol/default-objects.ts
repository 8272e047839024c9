/** Upstream's default configuration of API priority and fairness (of release 1.36), as data. */
import type { FlowcontrolV1Subject as Subject, FlowSchema, LimitedPriorityLevelConfiguration, LimitResponse, NonResourcePolicyRule, PolicyRulesWithSubjects, PriorityLevelConfiguration, ResourcePolicyRule } from '#api/types/index.ts'

/** "true": the spec follows upstream's from release to release; "false": it is the admin's. */
export const AUTO_UPDATE_ANNOTATION = 'apf.kubernetes.io/autoupdate-spec'
const API_VERSION = 'flowcontrol.apiserver.k8s.io/v1'

const groups = (...names: string[]): Subject[] => names.map((name) => ({ kind: 'Group', group: { name } }))
const users = (...names: string[]): Subject[] => names.map((name) => ({ kind: 'User', user: { name } }))
const systemAccounts = (...names: string[]): Subject[] => names.map((name) => ({ kind: 'ServiceAccount', serviceAccount: { name, namespace: 'kube-system' } }))
const EVERYONE = groups('system:unauthenticated', 'system:authenticated')

/** In all namespaces; cluster-scoped requests only when `clusterScope`. */
const resources = (verbs: string[], apiGroups: string[], names: string[], clusterScope?: true): ResourcePolicyRule => ({ verbs, apiGroups, resources: names, ...(clusterScope && { clusterScope }), namespaces: ['*'] })
const ALL_PATHS: NonResourcePolicyRule = { verbs: ['*'], nonResourceURLs: ['*'] }
const everything = (subjects: Subject[]): PolicyRulesWithSubjects => ({ subjects, resourceRules: [resources(['*'], ['*'], ['*'], true)], nonResourceRules: [ALL_PATHS] })
const LEADER_VERBS = ['get', 'create', 'update']

function schema(name: string, level: string, matchingPrecedence: number, distinguisher: 'ByUser' | 'ByNamespace' | undefined, rule: PolicyRulesWithSubjects): FlowSchema {
  return {
    apiVersion: API_VERSION, kind: 'FlowSchema', metadata: { name, annotations: { [AUTO_UPDATE_ANNOTATION]: 'true' } },
    spec: { priorityLevelConfiguration: { name: level }, matchingPrecedence, ...(distinguisher && { distinguisherMethod: { type: distinguisher } }), rules: [rule] },
  }
}

function level(name: string, limited: LimitedPriorityLevelConfiguration): PriorityLevelConfiguration {
  return { apiVersion: API_VERSION, kind: 'PriorityLevelConfiguration', metadata: { name, annotations: { [AUTO_UPDATE_ANNOTATION]: 'true' } }, spec: { type: 'Limited', limited } }
}

const queuing = (queues: number, handSize: number): LimitResponse => ({ type: 'Queue', queuing: { queues, handSize, queueLengthLimit: 50 } })

/** The server cannot work without these: always there, always as they are here. */
export const MANDATORY_PRIORITY_LEVELS: readonly PriorityLevelConfiguration[] = [
  level('catch-all', { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: 'Reject' } }),
  {
    apiVersion: API_VERSION, kind: 'PriorityLevelConfiguration', metadata: { name: 'exempt', annotations: { [AUTO_UPDATE_ANNOTATION]: 'true' } },
    spec: { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
  },
]

export const MANDATORY_FLOW_SCHEMAS: readonly FlowSchema[] = [
  schema('exempt', 'exempt', 1, undefined, everything(groups('system:masters'))),
  schema('catch-all', 'catch-all', 10_000, 'ByUser', everything(EVERYONE)),
]

/** What a cluster begins with; an admin may change or take over each. */
export const SUGGESTED_PRIORITY_LEVELS: readonly PriorityLevelConfiguration[] = [
  level('system', { nominalConcurrencyShares: 30, lendablePercent: 33, limitResponse: queuing(64, 6) }),
  level('node-high', { nominalConcurrencyShares: 40, lendablePercent: 25, limitResponse: queuing(64, 6) }),
  level('leader-election', { nominalConcurrencyShares: 10, lendablePercent: 0, limitResponse: queuing(16, 4) }),
  level('workload-high', { nominalConcurrencyShares: 40, lendablePercent: 50, limitResponse: queuing(128, 6) }),
  level('workload-low', { nominalConcurrencyShares: 100, lendablePercent: 90, limitResponse: queuing(128, 6) }),
  level('global-default', { nominalConcurrencyShares: 20, lendablePercent: 50, limitResponse: queuing(128, 6) }),
]

export const SUGGESTED_FLOW_SCHEMAS: readonly FlowSchema[] = [
  schema('system-nodes', 'system', 500, 'ByUser', everything(groups('system:nodes'))),
  schema('system-node-high', 'node-high', 400, 'ByUser', {
    subjects: groups('system:nodes'),
    resourceRules: [resources(['*'], [''], ['nodes', 'nodes/status'], true), resources(['*'], ['coordination.k8s.io'], ['leases'])],
  }),
  schema('probes', 'exempt', 2, undefined, { subjects: EVERYONE, nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }] }),
  schema('system-leader-election', 'leader-election', 100, 'ByUser', {
    subjects: [...users('system:kube-controller-manager', 'system:kube-scheduler'), ...systemAccounts('*')],
    resourceRules: [resources(LEADER_VERBS, ['coordination.k8s.io'], ['leases'])],
  }),
  schema('kube-controller-manager', 'workload-high', 800, 'ByNamespace', everything(users('system:kube-controller-manager'))),
  schema('kube-scheduler', 'workload-high', 800, 'ByNamespace', everything(users('system:kube-scheduler'))),
  schema('kube-system-service-accounts', 'workload-high', 900, 'ByNamespace', everything(systemAccounts('*'))),
  schema('service-accounts', 'workload-low', 9000, 'ByUser', everything(groups('system:serviceaccounts'))),
  schema('global-default', 'global-default', 9900, 'ByUser', everything(EVERYONE)),
]
