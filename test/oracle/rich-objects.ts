/** Objects with much in them: lists of all types, maps, defaults, what updates may not change. */
import type { Kind } from '../conformance/kinds.ts'

const labels = { app: 'a', tier: 'web' }
const probe = { httpGet: { path: '/x', port: 80 }, periodSeconds: 5 }
const containers = [
  {
    name: 'a', image: 'registry.example.com/a:1', command: ['a'], args: ['b', 'c'], workingDir: '/x', ports: [{ name: 'http', containerPort: 80 }, { containerPort: 53, protocol: 'UDP' }, { containerPort: 53 }],
    env: [{ name: 'A', value: 'b' }, { name: 'B', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }], envFrom: [{ configMapRef: { name: 'c' } }], resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '128Mi' } },
    volumeMounts: [{ name: 'v', mountPath: '/v' }, { name: 'c', mountPath: '/c', readOnly: true }], livenessProbe: probe, readinessProbe: { exec: { command: ['true'] } }, lifecycle: { preStop: { exec: { command: ['x'] } } },
    securityContext: { runAsNonRoot: true, capabilities: { drop: ['ALL'] } },
  },
  { name: 'b', image: 'registry.example.com/b' },
]
const spec = {
  containers, initContainers: [{ name: 'i', image: 'i:1', restartPolicy: 'Always' }], volumes: [{ name: 'v', emptyDir: { sizeLimit: '1Gi' } }, { name: 'c', configMap: { name: 'c', items: [{ key: 'k', path: 'p' }] } }],
  tolerations: [{ key: 'k', operator: 'Equal', value: 'v', effect: 'NoExecute', tolerationSeconds: 60 }], nodeSelector: { disk: 'ssd' }, hostAliases: [{ ip: '10.0.0.1', hostnames: ['h'] }], imagePullSecrets: [{ name: 's' }],
  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'k', operator: 'In', values: ['a', 'b'] }] }] } } },
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway', labelSelector: { matchLabels: labels } }], securityContext: { fsGroup: 1000, supplementalGroups: [5], sysctls: [{ name: 'kernel.shm_rmid_forced', value: '1' }] },
  dnsConfig: { nameservers: ['10.0.0.2'], searches: ['a.b'], options: [{ name: 'ndots', value: '2' }] }, readinessGates: [{ conditionType: 'x.y/z' }], terminationGracePeriodSeconds: 20,
}
const template = { metadata: { labels, annotations: { note: 'n' } }, spec }
const selector = { matchLabels: labels }
const metadata = { labels, annotations: { 'example.com/a': 'b' }, finalizers: ['example.com/f'] }

export const RICH: readonly Kind[] = [
  { root: '/api/v1', resource: 'pods', namespaced: true, object: { metadata, spec } },
  { root: '/apis/apps/v1', resource: 'deployments', namespaced: true, object: { metadata, spec: { replicas: 3, selector, template, strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: '50%' } }, revisionHistoryLimit: 3 } } },
  { root: '/apis/apps/v1', resource: 'statefulsets', namespaced: true, object: { spec: { replicas: 2, serviceName: 's', selector, template, volumeClaimTemplates: [{ metadata: { name: 'd' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }], updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 1 } }, persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' } } } },
  { root: '/apis/apps/v1', resource: 'daemonsets', namespaced: true, object: { spec: { selector, template, updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1 } }, minReadySeconds: 3 } } },
  {
    root: '/apis/batch/v1', resource: 'jobs', namespaced: true,
    object: { spec: { completions: 3, parallelism: 2, completionMode: 'Indexed', backoffLimitPerIndex: 1, maxFailedIndexes: 2, activeDeadlineSeconds: 100, ttlSecondsAfterFinished: 5, template: { ...template, spec: { ...spec, restartPolicy: 'Never' } }, podFailurePolicy: { rules: [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }] }, successPolicy: { rules: [{ succeededIndexes: '0' }] } } },
  },
  { root: '/apis/batch/v1', resource: 'cronjobs', namespaced: true, object: { spec: { schedule: '*/5 * * * *', timeZone: 'Etc/UTC', concurrencyPolicy: 'Forbid', startingDeadlineSeconds: 30, jobTemplate: { metadata: { labels }, spec: { backoffLimit: 2, template: { ...template, spec: { ...spec, restartPolicy: 'OnFailure' } } } } } } },
  { root: '/api/v1', resource: 'services', namespaced: true, object: { metadata, spec: { selector: labels, type: 'NodePort', ports: [{ name: 'h', port: 80, targetPort: 'http' }, { name: 'd', port: 80, protocol: 'UDP', targetPort: 53 }], externalTrafficPolicy: 'Local', sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 100 } } } } },
  { root: '/api/v1', resource: 'services', namespaced: true, object: { spec: { clusterIP: 'None', selector: labels, publishNotReadyAddresses: true, ports: [{ port: 80 }] } } },
  { root: '/api/v1', resource: 'services', namespaced: true, object: { spec: { type: 'ExternalName', externalName: 'a.example.com' } } },
  { root: '/api/v1', resource: 'configmaps', namespaced: true, object: { metadata, data: { a: 'b', c: 'd' }, binaryData: { e: 'dg==' } } },
  { root: '/api/v1', resource: 'configmaps', namespaced: true, object: { data: { a: 'b' }, immutable: true } },
  { root: '/api/v1', resource: 'secrets', namespaced: true, object: { metadata, type: 'kubernetes.io/basic-auth', stringData: { username: 'u', password: 'p' } } },
  { root: '/api/v1', resource: 'persistentvolumes', object: { metadata, spec: { capacity: { storage: '2Gi' }, accessModes: ['ReadWriteOnce', 'ReadOnlyMany'], storageClassName: 'c', csi: { driver: 'd.example.com', volumeHandle: 'h', volumeAttributes: { a: 'b' } }, nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'k', operator: 'In', values: ['n'] }] }] } }, claimRef: { namespace: 'default', name: 'x' } } } },
  { root: '/api/v1', resource: 'persistentvolumeclaims', namespaced: true, object: { metadata, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' }, limits: { storage: '5Gi' } }, storageClassName: 'c', selector, dataSource: { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 's' } } } },
  { root: '/api/v1', resource: 'nodes', object: { metadata, spec: { podCIDR: '10.42.7.0/24', podCIDRs: ['10.42.7.0/24'], taints: [{ key: 'k', effect: 'NoSchedule' }], providerID: 'p://x', unschedulable: true } } },
  { root: '/api/v1', resource: 'serviceaccounts', namespaced: true, object: { metadata, secrets: [{ name: 'a' }, { name: 'b' }], imagePullSecrets: [{ name: 'c' }], automountServiceAccountToken: false } },
  { root: '/api/v1', resource: 'endpoints', namespaced: true, object: { metadata, subsets: [{ addresses: [{ ip: '10.42.0.3', hostname: 'a' }, { ip: '10.42.0.4' }], notReadyAddresses: [{ ip: '10.42.0.5' }], ports: [{ name: 'a', port: 80 }, { name: 'b', port: 81, protocol: 'UDP' }] }] } },
  { root: '/apis/autoscaling/v2', resource: 'horizontalpodautoscalers', namespaced: true, object: { spec: { minReplicas: 2, maxReplicas: 5, scaleTargetRef: { kind: 'Deployment', name: 'd', apiVersion: 'apps/v1' }, metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } }, { type: 'Pods', pods: { metric: { name: 'm' }, target: { type: 'AverageValue', averageValue: '10' } } }], behavior: { scaleDown: { stabilizationWindowSeconds: 60, policies: [{ type: 'Percent', value: 10, periodSeconds: 60 }] } } } } },
  { root: '/apis/autoscaling/v1', resource: 'horizontalpodautoscalers', namespaced: true, object: { metadata: { annotations: { 'autoscaling.alpha.kubernetes.io/metrics': '[{"type":"Pods","pods":{"metricName":"m","targetAverageValue":"10"}}]' } }, spec: { minReplicas: 2, maxReplicas: 5, targetCPUUtilizationPercentage: 70, scaleTargetRef: { kind: 'Deployment', name: 'd', apiVersion: 'apps/v1' } } } },
  { root: '/apis/networking.k8s.io/v1', resource: 'ingresses', namespaced: true, object: { metadata, spec: { ingressClassName: 'c', tls: [{ hosts: ['a.b'], secretName: 's' }], rules: [{ host: 'a.b', http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'a', port: { number: 80 } } } }, { path: '/x', pathType: 'Exact', backend: { service: { name: 'b', port: { name: 'http' } } } }] } }] } } },
  { root: '/apis/networking.k8s.io/v1', resource: 'networkpolicies', namespaced: true, object: { spec: { podSelector: selector, policyTypes: ['Ingress', 'Egress'], ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }, { podSelector: selector }], ports: [{ port: 80 }, { port: 8000, endPort: 9000 }] }], egress: [{ to: [{ namespaceSelector: selector }] }] } } },
  { root: '/apis/policy/v1', resource: 'poddisruptionbudgets', namespaced: true, object: { spec: { maxUnavailable: '30%', selector, unhealthyPodEvictionPolicy: 'AlwaysAllow' } } },
  { root: '/apis/discovery.k8s.io/v1', resource: 'endpointslices', namespaced: true, object: { metadata: { labels: { 'kubernetes.io/service-name': 's' } }, addressType: 'IPv4', endpoints: [{ addresses: ['10.42.0.3'], conditions: { ready: true, serving: true, terminating: false }, nodeName: 'n', zone: 'z', targetRef: { kind: 'Pod', name: 'p', namespace: 'default' } }], ports: [{ name: 'h', port: 80, appProtocol: 'http' }] } },
  { root: '/apis/rbac.authorization.k8s.io/v1', resource: 'clusterroles', object: { metadata, aggregationRule: { clusterRoleSelectors: [selector] }, rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'], resourceNames: ['a'] }] } },
  { root: '/apis/storage.k8s.io/v1', resource: 'storageclasses', object: { metadata, provisioner: 'p.example.com', parameters: { a: 'b' }, mountOptions: ['ro'], allowVolumeExpansion: true, reclaimPolicy: 'Retain', allowedTopologies: [{ matchLabelExpressions: [{ key: 'z', values: ['a', 'b'] }] }] } },
  { root: '/apis/storage.k8s.io/v1', resource: 'csidrivers', object: { spec: { attachRequired: true, podInfoOnMount: true, volumeLifecycleModes: ['Persistent', 'Ephemeral'], fsGroupPolicy: 'File', tokenRequests: [{ audience: 'a', expirationSeconds: 3600 }], storageCapacity: true } } },
  { root: '/apis/storage.k8s.io/v1', resource: 'csinodes', object: { spec: { drivers: [{ name: 'd.example.com', nodeID: 'n', topologyKeys: ['k'], allocatable: { count: 3 } }] } } },
  {
    root: '/apis/admissionregistration.k8s.io/v1', resource: 'validatingwebhookconfigurations',
    object: { webhooks: [{ name: 'a.b.c', sideEffects: 'None', admissionReviewVersions: ['v1'], failurePolicy: 'Ignore', timeoutSeconds: 3, clientConfig: { service: { name: 's', namespace: 'x', path: '/p' } }, rules: [{ operations: ['CREATE'], apiGroups: ['nobody.example.com'], apiVersions: ['v1'], resources: ['things'] }], namespaceSelector: selector, matchConditions: [{ name: 'c', expression: 'true' }] }, { name: 'd.b.c', sideEffects: 'None', admissionReviewVersions: ['v1'], clientConfig: { url: 'https://127.0.0.1:1/x' } }] },
  },
  { root: '/apis/flowcontrol.apiserver.k8s.io/v1', resource: 'prioritylevelconfigurations', object: { spec: { type: 'Limited', limited: { nominalConcurrencyShares: 3, lendablePercent: 20, limitResponse: { type: 'Queue', queuing: { queues: 8, handSize: 2, queueLengthLimit: 10 } } } } } },
  { root: '/apis/resource.k8s.io/v1', resource: 'resourceclaims', namespaced: true, object: { metadata, spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'c.example.com', count: 2, selectors: [{ cel: { expression: 'true' } }] } }, { name: 'f', firstAvailable: [{ name: 's', deviceClassName: 'd.example.com' }] }], constraints: [{ requests: ['r'], matchAttribute: 'a.example.com/b' }], config: [{ requests: ['r'], opaque: { driver: 'd.example.com', parameters: { a: 1 } } }] } } } },
]
