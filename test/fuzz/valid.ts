/** Objects that are accepted as they are: what a round begins with and damages from there. */
import type { Json } from './objects.ts'

const labels = { app: 'a' }
const container = { name: 'c', image: 'i:1', ports: [{ containerPort: 80 }, { containerPort: 80, protocol: 'UDP' }], env: [{ name: 'A', value: 'b' }], resources: { requests: { cpu: '100m' }, limits: { memory: '1Gi' } } }
const template = { metadata: { labels }, spec: { containers: [container], tolerations: [{ key: 'k', operator: 'Exists' }], volumes: [{ name: 'v', emptyDir: {} }] } }
const selector = { matchLabels: labels }
const namespaced = (root: string, resource: string): string => `${root}/namespaces/default/${resource}`

/** Where each is created, and what. */
export const VALID: readonly (readonly [collection: string, object: Json])[] = [
  [namespaced('/api/v1', 'configmaps'), { metadata: { name: 'a', labels, finalizers: ['x/y'] }, data: { k: 'v' } }],
  [namespaced('/api/v1', 'secrets'), { metadata: { name: 'a' }, stringData: { k: 'v' } }],
  [namespaced('/api/v1', 'pods'), { metadata: { name: 'a', labels }, spec: { ...template.spec, nodeName: 'a' } }],
  [namespaced('/api/v1', 'pods'), { metadata: { name: 'b', labels }, spec: template.spec }],
  [namespaced('/api/v1', 'services'), { metadata: { name: 'a' }, spec: { selector: labels, type: 'NodePort', ports: [{ name: 'h', port: 80 }, { name: 'd', port: 80, protocol: 'UDP' }] } }],
  [namespaced('/api/v1', 'persistentvolumeclaims'), { metadata: { name: 'a' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }],
  [namespaced('/api/v1', 'endpoints'), { metadata: { name: 'a' }, subsets: [{ addresses: [{ ip: '10.42.0.2' }], ports: [{ port: 80 }] }] }],
  [namespaced('/api/v1', 'resourcequotas'), { metadata: { name: 'a' }, spec: { hard: { pods: '100', 'requests.cpu': '50' } } }],
  [namespaced('/api/v1', 'limitranges'), { metadata: { name: 'a' }, spec: { limits: [{ type: 'Container', default: { cpu: '1' }, defaultRequest: { cpu: '10m' } }] } }],
  ['/api/v1/nodes', { metadata: { name: 'a' }, spec: { podCIDR: '10.42.0.0/24' } }],
  ['/api/v1/persistentvolumes', { metadata: { name: 'a' }, spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } } }],
  [namespaced('/apis/apps/v1', 'deployments'), { metadata: { name: 'a' }, spec: { replicas: 2, selector, template } }],
  [namespaced('/apis/apps/v1', 'statefulsets'), { metadata: { name: 'a' }, spec: { serviceName: 'a', selector, template } }],
  [namespaced('/apis/apps/v1', 'daemonsets'), { metadata: { name: 'a' }, spec: { selector, template } }],
  [namespaced('/apis/batch/v1', 'jobs'), { metadata: { name: 'a' }, spec: { template: { ...template, spec: { ...template.spec, restartPolicy: 'Never' } } } }],
  [namespaced('/apis/batch/v1', 'cronjobs'), { metadata: { name: 'a' }, spec: { schedule: '*/5 * * * *', jobTemplate: { spec: { template: { spec: { ...template.spec, restartPolicy: 'OnFailure' } } } } } }],
  [namespaced('/apis/autoscaling/v2', 'horizontalpodautoscalers'), { metadata: { name: 'a' }, spec: { maxReplicas: 3, scaleTargetRef: { kind: 'Deployment', name: 'a', apiVersion: 'apps/v1' }, metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } }] } }],
  [namespaced('/apis/policy/v1', 'poddisruptionbudgets'), { metadata: { name: 'a' }, spec: { minAvailable: '50%', selector } }],
  [namespaced('/apis/networking.k8s.io/v1', 'ingresses'), { metadata: { name: 'a' }, spec: { rules: [{ host: 'a.b', http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'a', port: { number: 80 } } } }] } }] } }],
  [namespaced('/apis/networking.k8s.io/v1', 'networkpolicies'), { metadata: { name: 'a' }, spec: { podSelector: selector, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }], ports: [{ port: 80 }] }] } }],
  [namespaced('/apis/discovery.k8s.io/v1', 'endpointslices'), { metadata: { name: 'a' }, addressType: 'IPv4', endpoints: [{ addresses: ['10.42.0.2'] }], ports: [{ name: '', port: 80 }] }],
  [namespaced('/apis/coordination.k8s.io/v1', 'leases'), { metadata: { name: 'a' }, spec: { holderIdentity: 'a', leaseDurationSeconds: 10, renewTime: '2026-01-01T00:00:00.000000Z' } }],
  [namespaced('/apis/rbac.authorization.k8s.io/v1', 'roles'), { metadata: { name: 'a' }, rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] }],
  ['/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', { metadata: { name: 'a' }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'a' }, subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'b' }] }],
  ['/apis/storage.k8s.io/v1/storageclasses', { metadata: { name: 'a' }, provisioner: 'x.y/z' }],
  ['/apis/scheduling.k8s.io/v1/priorityclasses', { metadata: { name: 'a' }, value: 5 }],
  ['/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies', { metadata: { name: 'a' }, spec: { failurePolicy: 'Fail', matchConstraints: { resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['*'], resources: ['configmaps'] }] }, validations: [{ expression: 'object.metadata.name != "nope"' }], variables: [{ name: 'x', expression: '1 + 1' }] } }],
  ['/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: { name: 'shirts.fuzz.example.com' },
    spec: {
      group: 'fuzz.example.com', scope: 'Namespaced', names: { plural: 'shirts', singular: 'shirt', kind: 'Shirt', listKind: 'ShirtList', shortNames: ['sh'] },
      versions: [{
        name: 'v1', served: true, storage: true, subresources: { status: {}, scale: { specReplicasPath: '.spec.count', statusReplicasPath: '.status.count' } }, selectableFields: [{ jsonPath: '.spec.color' }],
        additionalPrinterColumns: [{ name: 'Color', type: 'string', jsonPath: '.spec.color' }],
        schema: { openAPIV3Schema: { type: 'object', properties: {
          spec: { type: 'object', properties: {
            color: { type: 'string', maxLength: 20, default: 'red' }, count: { type: 'integer', minimum: 0, 'x-kubernetes-validations': [{ rule: 'self < 100' }] }, any: { 'x-kubernetes-preserve-unknown-fields': true }, port: { 'x-kubernetes-int-or-string': true },
            buttons: { type: 'array', maxItems: 10, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'], items: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, size: { type: 'integer', nullable: true } } } },
            tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } }, wrapped: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
          } },
          status: { type: 'object', properties: { count: { type: 'integer' } } },
        } } },
      }],
    },
  }],
  [namespaced('/apis/fuzz.example.com/v1', 'shirts'), { apiVersion: 'fuzz.example.com/v1', kind: 'Shirt', metadata: { name: 'a' }, spec: { color: 'blue', count: 2, buttons: [{ name: 'x', size: 1 }], tags: ['t'], any: { deep: [1] } } }],
]
