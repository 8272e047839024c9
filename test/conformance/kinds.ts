/** Kinds as upstream's conformance tests of API operations make them: where, what, and what their status may say. */

export type Json = Record<string, unknown>

export interface Kind {
  /** Group and version as in paths: `/api/v1`, `/apis/batch/v1`. */
  root: string
  resource: string
  namespaced?: boolean
  object: Json
  /** Must the name have a form of its own? `n`: how manieth. */
  name?: (n: number) => string
  /** A merge patch to `/status` and whether metadata may be written with it. */
  status?: { patch: Json; metadata: boolean }
  /** Not served: everything else is. */
  without?: readonly string[]
  /** What differs between objects, which may not all be the same. */
  each?: (n: number) => Json
}

const labels = { app: 'e2e' }
const container = { name: 'c', image: 'registry.k8s.io/pause:3.10' }
const template = { metadata: { labels }, spec: { containers: [container] } }
const once = { metadata: { labels }, spec: { containers: [container], restartPolicy: 'Never' } }
const selector = { matchLabels: labels }
const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set by a test' }
const dated = { ...condition, lastTransitionTime: '2026-01-01T00:00:00Z' }
const matches = { resourceRules: [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] }] }
const applied = { patchType: 'ApplyConfiguration', applyConfiguration: { expression: 'Object{spec: Object.spec{replicas: 1}}' } }
const CSR = `-----BEGIN CERTIFICATE REQUEST-----
MIHUMHwCAQAwGjEYMBYGA1UEAwwPZTJlLmV4YW1wbGUuY29tMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAEuZ5MBMc34BCHWgB98rs3DhvYq9uQYp7YiK26tUCRev3j
A2eX52tCBS4nt5pdPChdyFP98unaEsRVfTuWnzuUs6AAMAoGCCqGSM49BAMCA0gA
MEUCIGy+LWcPLnhuAlg1U6/UBYbUrnbe7MnFGLGbuGZWnWs3AiEAxow9JJSwfICF
11Pb72K14YjqKAb+/zRsd5NYMg96zWk=
-----END CERTIFICATE REQUEST-----
`

export const KINDS: readonly Kind[] = [
  { root: '/api/v1', resource: 'configmaps', namespaced: true, object: { data: { k: 'v' } } },
  { root: '/api/v1', resource: 'secrets', namespaced: true, object: { data: { k: 'dg==' } } },
  { root: '/api/v1', resource: 'serviceaccounts', namespaced: true, object: {} },
  { root: '/api/v1', resource: 'podtemplates', namespaced: true, object: { template } },
  { root: '/api/v1', resource: 'limitranges', namespaced: true, object: { spec: { limits: [{ type: 'Container', default: { cpu: '500m' } }] } } },
  { root: '/api/v1', resource: 'resourcequotas', namespaced: true, object: { spec: { hard: { services: '1' } } }, status: { patch: { status: { hard: { services: '2' } } }, metadata: true } },
  { root: '/api/v1', resource: 'endpoints', namespaced: true, object: { subsets: [{ addresses: [{ ip: '10.0.0.24' }], ports: [{ name: 'http', port: 80 }] }] } },
  { root: '/api/v1', resource: 'events', namespaced: true, object: { involvedObject: { namespace: 'default' }, reason: 'Test', message: 'a message', type: 'Normal' } },
  { root: '/api/v1', resource: 'pods', namespaced: true, object: { spec: template.spec }, status: { patch: { status: { message: 'Patched by a test' } }, metadata: true } },
  { root: '/api/v1', resource: 'services', namespaced: true, object: { spec: { type: 'LoadBalancer', ports: [{ name: 'http', port: 80 }], selector: labels } }, status: { patch: { status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } } }, metadata: true } },
  { root: '/api/v1', resource: 'replicationcontrollers', namespaced: true, object: { spec: { replicas: 1, selector: labels, template } }, status: { patch: { status: { readyReplicas: 1, availableReplicas: 1, replicas: 1 } }, metadata: true } },
  { root: '/api/v1', resource: 'persistentvolumeclaims', namespaced: true, object: { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }, status: { patch: { status: { conditions: [condition] } }, metadata: true } },
  { root: '/api/v1', resource: 'persistentvolumes', object: { spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/tmp' } } }, status: { patch: { status: { message: 'StatusUpdated', reason: 'E2E' } }, metadata: true } },
  { root: '/api/v1', resource: 'namespaces', object: {}, status: { patch: { status: { conditions: [condition] } }, metadata: true }, without: ['deletecollection'] },
  { root: '/api/v1', resource: 'nodes', object: {}, status: { patch: { status: { phase: 'Running' } }, metadata: true } },
  { root: '/apis/apps/v1', resource: 'deployments', namespaced: true, object: { spec: { selector, template } }, status: { patch: { status: { conditions: [condition] } }, metadata: true } },
  { root: '/apis/apps/v1', resource: 'replicasets', namespaced: true, object: { spec: { selector, template } }, status: { patch: { status: { conditions: [condition] } }, metadata: true } },
  { root: '/apis/apps/v1', resource: 'statefulsets', namespaced: true, object: { spec: { serviceName: 'e2e', selector, template } }, status: { patch: { status: { conditions: [condition] } }, metadata: true } },
  { root: '/apis/apps/v1', resource: 'daemonsets', namespaced: true, object: { spec: { selector, template } }, status: { patch: { status: { conditions: [condition] } }, metadata: true } },
  { root: '/apis/apps/v1', resource: 'controllerrevisions', namespaced: true, object: { revision: 1, data: { spec: {} } } },
  { root: '/apis/batch/v1', resource: 'jobs', namespaced: true, object: { spec: { suspend: true, template: once } }, status: { patch: { status: { conditions: [condition], startTime: '2026-01-01T00:00:00Z' } }, metadata: true } },
  { root: '/apis/batch/v1', resource: 'cronjobs', namespaced: true, object: { spec: { schedule: '0 0 1 1 *', suspend: true, jobTemplate: { spec: { template: once } } } }, status: { patch: { status: { lastScheduleTime: '2026-01-01T00:00:00Z' } }, metadata: true } },
  { root: '/apis/autoscaling/v1', resource: 'horizontalpodautoscalers', namespaced: true, object: { spec: { maxReplicas: 3, scaleTargetRef: { kind: 'Deployment', name: 'd', apiVersion: 'apps/v1' } } }, status: { patch: { status: { currentReplicas: 1, desiredReplicas: 2 } }, metadata: true } },
  { root: '/apis/autoscaling/v2', resource: 'horizontalpodautoscalers', namespaced: true, object: { spec: { maxReplicas: 3, scaleTargetRef: { kind: 'Deployment', name: 'd', apiVersion: 'apps/v1' } } }, status: { patch: { status: { currentReplicas: 1, desiredReplicas: 2, conditions: [dated] } }, metadata: true } },
  { root: '/apis/policy/v1', resource: 'poddisruptionbudgets', namespaced: true, object: { spec: { minAvailable: 1, selector } }, status: { patch: { status: { observedGeneration: 1, disruptionsAllowed: 1, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 } }, metadata: true } },
  { root: '/apis/networking.k8s.io/v1', resource: 'ingresses', namespaced: true, object: { spec: { defaultBackend: { service: { name: 'default-backend', port: { number: 80 } } } } }, status: { patch: { status: { loadBalancer: { ingress: [{ ip: '169.1.1.1' }] } } }, metadata: true } },
  { root: '/apis/networking.k8s.io/v1', resource: 'networkpolicies', namespaced: true, object: { spec: { podSelector: selector, ingress: [{ from: [{ namespaceSelector: {} }] }] } } },
  { root: '/apis/networking.k8s.io/v1', resource: 'ingressclasses', object: { spec: { controller: 'example.com/controller' } } },
  { root: '/apis/networking.k8s.io/v1', resource: 'servicecidrs', object: {}, each: (n) => ({ spec: { cidrs: [`10.${n}.0.0/24`] } }), status: { patch: { status: { conditions: [dated] } }, metadata: false } },
  { root: '/apis/networking.k8s.io/v1', resource: 'ipaddresses', name: (n) => `10.9.0.${n}`, object: { spec: { parentRef: { resource: 'services', namespace: 'default', name: 'a' } } } },
  { root: '/apis/discovery.k8s.io/v1', resource: 'endpointslices', namespaced: true, object: { addressType: 'IPv4', endpoints: [{ addresses: ['1.2.3.4', '5.6.7.8'] }] } },
  { root: '/apis/coordination.k8s.io/v1', resource: 'leases', namespaced: true, object: { spec: { holderIdentity: 'holder', leaseDurationSeconds: 30, renewTime: '2026-01-01T00:00:00.000000Z', leaseTransitions: 0 } } },
  { root: '/apis/events.k8s.io/v1', resource: 'events', namespaced: true, object: { regarding: { kind: 'Pod', namespace: 'default', name: 'p' }, eventTime: '2026-01-01T00:00:00.000000Z', action: 'Do', reason: 'Test', type: 'Normal', note: 'a note', reportingController: 'test-controller', reportingInstance: 'test-node' } },
  { root: '/apis/node.k8s.io/v1', resource: 'runtimeclasses', object: { handler: 'runc' } },
  { root: '/apis/scheduling.k8s.io/v1', resource: 'priorityclasses', object: {}, each: (n) => ({ value: n }) },
  { root: '/apis/storage.k8s.io/v1', resource: 'storageclasses', object: { provisioner: 'e2e.example.com/p', volumeBindingMode: 'WaitForFirstConsumer' } },
  { root: '/apis/storage.k8s.io/v1', resource: 'csidrivers', object: { spec: { attachRequired: false } } },
  { root: '/apis/storage.k8s.io/v1', resource: 'csinodes', object: { spec: { drivers: [] } } },
  { root: '/apis/storage.k8s.io/v1', resource: 'csistoragecapacities', namespaced: true, object: { storageClassName: 'c', nodeTopology: selector, capacity: '1Gi' } },
  { root: '/apis/storage.k8s.io/v1', resource: 'volumeattachments', object: { spec: { attacher: 'e2e.example.com', nodeName: 'n', source: { persistentVolumeName: 'v' } } }, status: { patch: { status: { attached: true, attachmentMetadata: { a: 'b' } } }, metadata: false } },
  { root: '/apis/storage.k8s.io/v1', resource: 'volumeattributesclasses', object: { driverName: 'e2e.example.com', parameters: { a: 'b' } } },
  { root: '/apis/certificates.k8s.io/v1', resource: 'certificatesigningrequests', object: { spec: { request: Buffer.from(CSR).toString('base64'), signerName: 'example.com/e2e', usages: ['digital signature', 'key encipherment', 'server auth'] } }, status: { patch: { status: { conditions: [condition] } }, metadata: true } },
  { root: '/apis/rbac.authorization.k8s.io/v1', resource: 'roles', namespaced: true, object: { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] } },
  { root: '/apis/rbac.authorization.k8s.io/v1', resource: 'rolebindings', namespaced: true, object: { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' }, subjects: [{ kind: 'ServiceAccount', name: 'a', namespace: 'default' }] } },
  { root: '/apis/rbac.authorization.k8s.io/v1', resource: 'clusterroles', object: { rules: [{ nonResourceURLs: ['/x'], verbs: ['get'] }] } },
  { root: '/apis/rbac.authorization.k8s.io/v1', resource: 'clusterrolebindings', object: { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' }, subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'u' }] } },
  { root: '/apis/admissionregistration.k8s.io/v1', resource: 'validatingadmissionpolicies', object: { spec: { matchConstraints: matches, validations: [{ expression: 'object.spec.replicas <= 100' }] } }, status: { patch: { status: { conditions: [dated] } }, metadata: false } },
  { root: '/apis/admissionregistration.k8s.io/v1', resource: 'validatingadmissionpolicybindings', object: { spec: { policyName: 'p', validationActions: ['Deny'] } } },
  { root: '/apis/admissionregistration.k8s.io/v1', resource: 'mutatingadmissionpolicies', object: { spec: { matchConstraints: matches, reinvocationPolicy: 'Never', mutations: [applied] } } },
  { root: '/apis/admissionregistration.k8s.io/v1', resource: 'mutatingadmissionpolicybindings', object: { spec: { policyName: 'p' } } },
  { root: '/apis/admissionregistration.k8s.io/v1', resource: 'validatingwebhookconfigurations', object: { webhooks: [{ name: 'a.b.c', sideEffects: 'None', admissionReviewVersions: ['v1'], clientConfig: { url: 'https://127.0.0.1/x' } }] } },
  { root: '/apis/admissionregistration.k8s.io/v1', resource: 'mutatingwebhookconfigurations', object: { webhooks: [{ name: 'a.b.c', sideEffects: 'None', admissionReviewVersions: ['v1'], clientConfig: { url: 'https://127.0.0.1/x' } }] } },
  { root: '/apis/flowcontrol.apiserver.k8s.io/v1', resource: 'flowschemas', object: { spec: { matchingPrecedence: 10000, priorityLevelConfiguration: { name: 'global-default' }, distinguisherMethod: { type: 'ByUser' }, rules: [{ subjects: [{ kind: 'User', user: { name: 'example-e2e-non-existent-user' } }], nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }] }] } }, status: { patch: { status: { conditions: [dated] } }, metadata: false } },
  { root: '/apis/flowcontrol.apiserver.k8s.io/v1', resource: 'prioritylevelconfigurations', object: { spec: { type: 'Limited', limited: { nominalConcurrencyShares: 2, limitResponse: { type: 'Reject' } } } }, status: { patch: { status: { conditions: [dated] } }, metadata: false } },
  { root: '/apis/apiregistration.k8s.io/v1', resource: 'apiservices', name: (n) => `v1.e2e${n}.example.com`, object: {}, each: (n) => ({ spec: { group: `e2e${n}.example.com`, version: 'v1', groupPriorityMinimum: 2000, versionPriority: 200, insecureSkipTLSVerify: true, service: { name: 's', namespace: 'default' } } }), status: { patch: { status: { conditions: [condition] } }, metadata: false } },
  { root: '/apis/resource.k8s.io/v1', resource: 'deviceclasses', object: { spec: { selectors: [{ cel: { expression: 'device.driver == "e2e.example.com"' } }] } } },
  { root: '/apis/resource.k8s.io/v1', resource: 'resourceclaims', namespaced: true, object: { spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'c' } }] } } }, status: { patch: { status: { allocation: { devices: {} } } }, metadata: false } },
  { root: '/apis/resource.k8s.io/v1', resource: 'resourceclaimtemplates', namespaced: true, object: { spec: { spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'c' } }] } } } } },
  { root: '/apis/resource.k8s.io/v1', resource: 'resourceslices', object: { spec: { driver: 'e2e.example.com', nodeName: 'n', pool: { name: 'p', resourceSliceCount: 1 }, devices: [{ name: 'd' }] } } },
]
