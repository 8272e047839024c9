/**
 * What fields that hold another type are for: the dependency drops the description of a field whose type is a model.
 * Looked up by `Model.field`, then by `field`; an empty one of a model says that upstream has none either. Read by scripts/generate-schema.ts only. Shown by `kubectl explain`.
 */
const CONVENTIONS = 'https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md'
const volume = (what: string): string => `${what} mounted on the host machine and exposed to the pod.`
const SECRET_REF = 'Reference to the secret that holds the credentials for this operation. Optional: empty if none is needed.'
const CAPACITY = 'How much is needed of each capacity. Of one that is not named, what its requestPolicy has for default, or all of it. Devices that several claims may have take as much as is asked for, others are taken whole if they have that much.'
const PARENT = 'The object that the address belongs to. Required.'
const inVersionsOfDevices = (docs: Readonly<Record<string, string>>): Record<string, string> => Object.fromEntries(Object.entries(docs).flatMap(([field, text]) => ['', 'V1beta1', 'V1beta2'].map((version) => [version + field, text])))

export const FIELD_DOCS: Readonly<Record<string, string>> = {
  metadata: `Standard object's metadata. More info: ${CONVENTIONS}#metadata`,
  spec: `Specification of the desired behavior. More info: ${CONVENTIONS}#spec-and-status`,
  status: `Most recently observed status. Populated by the system, read-only. More info: ${CONVENTIONS}#spec-and-status`,
  template: 'Describes the pods that will be created. The only allowed template.spec.restartPolicy value is "Always" unless the owner runs to completion (Job).',
  selector: 'A label query over the objects selected. It must match the labels of the template where there is one. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors',
  targetRef: 'Reference to the object that provides this endpoint.',

  // Containers.
  lifecycle: 'Actions that the management system should take in response to container lifecycle events. Cannot be updated.',
  'EphemeralContainer.lifecycle': 'Lifecycle is not allowed for ephemeral containers.',
  livenessProbe: 'Periodic probe of container liveness. Container will be restarted if the probe fails. Cannot be updated. More info: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle#container-probes',
  readinessProbe: 'Periodic probe of container service readiness. Container will be removed from service endpoints if the probe fails. Cannot be updated. More info: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle#container-probes',
  startupProbe: 'Indicates that the Pod has successfully initialized. No other probes are executed until this completes successfully. If it fails, the Pod is restarted, as if the livenessProbe failed. More info: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle#container-probes',
  ...Object.fromEntries(['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'].map((f) => [`EphemeralContainer.${f}`, 'Not allowed for ephemeral containers.'])),
  resources: 'Compute resources required. More info: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/',
  'PersistentVolumeClaimSpec.resources': 'Minimum resources the volume should have. More info: https://kubernetes.io/docs/concepts/storage/persistent-volumes#resources',
  'ContainerStatus.resources': 'Compute resource requests and limits that have been enacted on the running container.',
  securityContext: 'Security options the container should be run with. Fields set here override those of the pod. More info: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/',
  'Binding.target': 'The target object that you want to bind to the standard object.',
  'PodSpec.securityContext': 'Pod-level security attributes and common container settings. Optional: defaults to empty. See type description for default values of each field.',
  valueFrom: "Source for the environment variable's value. Cannot be used if value is not empty.",
  configMapKeyRef: 'Selects a key of a ConfigMap.', secretKeyRef: "Selects a key of a secret in the pod's namespace.", configMapRef: 'The ConfigMap to select from.', 'EnvFromSource.secretRef': 'The Secret to select from.',
  fieldRef: 'Selects a field of the pod: metadata.name, metadata.namespace, `metadata.labels[\'<KEY>\']`, `metadata.annotations[\'<KEY>\']`, spec.nodeName, spec.serviceAccountName, status.hostIP, status.podIP, status.podIPs.',
  fileKeyRef: 'Selects a key of the env file.', resourceFieldRef: 'Selects a resource of the container: only resources limits and requests (limits.cpu, limits.memory, limits.ephemeral-storage, requests.cpu, ...) are supported.',
  exec: 'Exec specifies a command to execute in the container.', httpGet: 'HTTPGet specifies an HTTP GET request to perform.', tcpSocket: 'TCPSocket specifies a connection to a TCP port.', grpc: 'GRPC specifies a GRPC HealthCheckRequest.', sleep: 'Sleep represents a duration that the container should sleep.',
  postStart: 'PostStart is called immediately after a container is created. If the handler fails, the container is terminated and restarted according to its restart policy. Other management of the container blocks until the hook completes.',
  preStop: "PreStop is called immediately before a container is terminated due to an API request or management event such as liveness/startup probe failure, preemption, resource contention, etc. It is not called if the container crashes or exits. The grace period begins before the hook is executed.",
  exitCodes: 'Represents the exit codes to check on container exits.',

  // Pods.
  affinity: "If specified, the pod's scheduling constraints.", nodeAffinity: 'Describes node affinity scheduling rules.', podAffinity: 'Describes pod affinity scheduling rules (e.g. co-locate this pod in the same node, zone, etc. as some other pod(s)).', podAntiAffinity: 'Describes pod anti-affinity scheduling rules (e.g. avoid putting this pod in the same node, zone, etc. as some other pod(s)).',
  'PersistentVolumeSpec.nodeAffinity': 'Constraints that limit what nodes this volume can be accessed from. They influence the scheduling of pods that use this volume.',
  podAffinityTerm: 'Required. A pod affinity term, associated with the corresponding weight.', preference: 'A node selector term, associated with the corresponding weight.', labelSelector: 'A label query over the objects this applies to. If null, it matches none.', namespaceSelector: 'A label query over the namespaces this applies to. An empty selector ({}) matches all namespaces.',
  requiredDuringSchedulingIgnoredDuringExecution: 'If the requirements are not met at scheduling time, the pod will not be scheduled onto the node. If they cease to be met at some point during pod execution, the system may or may not try to eventually evict the pod from its node.',
  dnsConfig: "Specifies the DNS parameters of a pod, merged into the configuration generated from dnsPolicy.", os: "Specifies the OS of the containers in the pod. Some pod and container fields are restricted if this is set.", overhead: 'Resource overhead associated with running a pod for a given RuntimeClass.', schedulingGroup: 'The pod group this pod is scheduled with.',
  appArmorProfile: 'The AppArmor options to use. Cannot be set when spec.os.name is windows.', capabilities: 'The capabilities to add/drop when running containers. Defaults to the default set granted by the container runtime. Cannot be set when spec.os.name is windows.',
  seLinuxOptions: 'The SELinux context to be applied. If unspecified, the container runtime will allocate a random SELinux context for each container. Cannot be set when spec.os.name is windows.', seccompProfile: 'The seccomp options to use. Cannot be set when spec.os.name is windows.', windowsOptions: 'The Windows specific settings applied. Cannot be set when spec.os.name is linux.',
  state: "Details about the container's current condition.", lastState: "The last termination state of the container, to help debug container crashes and restarts. Not populated if the container is still running and RestartCount is 0.", running: 'Details about a running container.', terminated: 'Details about a terminated container.', waiting: 'Details about a waiting container.', user: 'User identity information initially attached to the first process of the container.', linux: 'User identity information of the first process of containers on Linux.',
  extendedResourceClaimStatus: 'Status of extended resource claim backed by DRA.', volumeStatus: 'Volume-type-specific details about the mount.',

  // Volumes.
  awsElasticBlockStore: volume('An AWS Disk resource'), azureDisk: volume('An Azure Data Disk'), azureFile: volume('An Azure File Service'), cephfs: volume('A Ceph FS'), cinder: volume('An OpenStack cinder volume'), fc: volume('A Fibre Channel resource'), gcePersistentDisk: volume('A GCE Disk resource'), glusterfs: volume('A Glusterfs volume'),
  iscsi: volume('An ISCSI Disk resource'), photonPersistentDisk: volume('A PhotonController persistent disk'), portworxVolume: volume('A portworx volume'), quobyte: volume('A Quobyte mount'), rbd: volume('A Rados Block Device'), scaleIO: volume('A ScaleIO persistent volume'), storageos: volume('A StorageOS volume'), vsphereVolume: volume('A vSphere volume'), flocker: volume('A Flocker volume'),
  flexVolume: 'A generic volume resource that is provisioned/attached using an exec based plugin. Deprecated: use CSI drivers.', gitRepo: 'A git repository at a particular revision. Deprecated.', nfs: "An NFS mount on the host that shares a pod's lifetime. More info: https://kubernetes.io/docs/concepts/storage/volumes#nfs", local: 'Directly-attached storage with node affinity.',
  hostPath: 'A pre-existing file or directory on the host machine that is directly exposed to the container. Generally used for system agents or other privileged things. More info: https://kubernetes.io/docs/concepts/storage/volumes#hostpath',
  emptyDir: "A temporary directory that shares a pod's lifetime. More info: https://kubernetes.io/docs/concepts/storage/volumes#emptydir", configMap: 'A configMap that should populate this volume.', secret: 'A secret that should populate this volume. More info: https://kubernetes.io/docs/concepts/storage/volumes#secret', downwardAPI: 'Downward API about the pod that should populate this volume.', projected: 'Items for all in one resources: secrets, configmaps, and downward API.',
  persistentVolumeClaim: 'A reference to a PersistentVolumeClaim in the same namespace. More info: https://kubernetes.io/docs/concepts/storage/persistent-volumes#persistentvolumeclaims', csi: 'Storage that is handled by a CSI driver.', ephemeral: "A volume that is handled by a cluster storage driver. Its lifecycle is tied to the pod that defines it: it is created before the pod starts and deleted when the pod is removed.", image: 'An OCI object (a container image or artifact) pulled and mounted on the host machine, read-only.',
  'VolumeProjection.configMap': 'Information about the configMap data to project.', 'VolumeProjection.secret': 'Information about the secret data to project.', 'VolumeProjection.downwardAPI': 'Information about the downwardAPI data to project.', serviceAccountToken: 'Information about the serviceAccountToken data to project.', clusterTrustBundle: 'Allows a pod to access the `.spec.trustBundle` field of ClusterTrustBundle objects in an auto-updating file.', podCertificate: 'Projects an auto-rotating credential bundle (private key and certificate chain) that the pod can use as a TLS client or server.',
  volumeClaimTemplate: 'Will be used to create a stand-alone PVC to provision the volume. The pod will be the owner of the PVC, which is deleted together with the pod. Required, must not be nil.',
  secretRef: SECRET_REF, controllerExpandSecretRef: SECRET_REF, controllerPublishSecretRef: SECRET_REF, nodeExpandSecretRef: SECRET_REF, nodePublishSecretRef: SECRET_REF, nodeStageSecretRef: SECRET_REF,
  claimRef: 'Part of a bi-directional binding between PersistentVolume and PersistentVolumeClaim. Non-nil when bound.', dataSource: 'An existing VolumeSnapshot or PVC to provision the volume from.', dataSourceRef: 'The object from which to populate the volume with data, if a non-empty volume is desired.', 'VolumeNodeAffinity.required': 'Hard node constraints that must be met.', modifyVolumeStatus: 'Status object of ControllerModifyVolume operation.',
  attachError: 'The last error encountered during attach operation, if any. Set only by the entity completing the attach operation.', detachError: 'The last error encountered during detach operation, if any. Set only by the entity completing the detach operation.', 'VolumeAttachmentSpec.source': 'The volume that should be attached.', inlineVolumeSpec: "All the information necessary to attach a persistent volume defined by a pod's inline VolumeSource.", allocatable: 'The volume resources of a node that are available for scheduling. This field is beta.',

  // Nodes.
  nodeInfo: 'Set of ids/uuids to uniquely identify the node. More info: https://kubernetes.io/docs/reference/node/node-status/#info', daemonEndpoints: 'Endpoints of daemons running on the Node.', kubeletEndpoint: 'Endpoint on which Kubelet is listening.', features: 'Features implemented by the CRI implementation.', config: 'Status of the config assigned to the node via the dynamic Kubelet config feature.', configSource: 'Deprecated: the DynamicKubeletConfig feature has been removed.', swap: 'Swap info reported by the node.',

  // Workloads.
  strategy: 'The deployment strategy to use to replace existing pods with new ones.', updateStrategy: 'An update strategy to replace existing pods with new ones when the template changes.', rollingUpdate: 'Rolling update config params. Present only if type = "RollingUpdate".', ordinals: 'Controls the numbering of replica indices in a StatefulSet. By default replicas are numbered from 0.', persistentVolumeClaimRetentionPolicy: 'The lifecycle of persistent volume claims created from volumeClaimTemplates. By default they are created as needed and retained until manually deleted.',
  jobTemplate: 'Specifies the job that will be created when executing a CronJob.', podFailurePolicy: 'The policy of handling failed pods: conditions on which to take actions. If empty, every failed pod counts towards backoffLimit.', onExitCodes: 'The requirement on the container exit codes.', successPolicy: 'When the Job can be declared as succeeded. If empty, it is when the number of succeeded pods equals completions.', uncountedTerminatedPods: 'UIDs of Pods that have terminated but have not been accounted in Job status counters.',
  behavior: 'The scaling behavior of the target in both Up and Down directions (scaleUp and scaleDown fields respectively). If not set, the default HPAScalingRules are used.', scaleUp: 'Scaling policy for scaling Up.', scaleDown: 'Scaling policy for scaling Down.', scaleTargetRef: 'The target resource to scale: the one for which metrics are collected and whose replica count is changed.', target: 'The target value for the given metric.', current: 'The current value for the given metric.', metric: 'Identifies the target metric by name and selector.', describedObject: 'The object described by the metric: kind, name, apiVersion.',
  containerResource: 'A resource metric (such as those specified in requests and limits) of a single container in each pod of the current scale target.', external: 'A global metric that is not associated with any Kubernetes object.', object: 'A metric describing a single Kubernetes object.', pods: 'A metric describing each pod in the current scale target.', 'V2MetricSpec.resource': 'A resource metric (such as those specified in requests and limits) describing each pod in the current scale target.', 'V2MetricStatus.resource': 'A resource metric describing each pod in the current scale target.',

  // Fields of type IntOrString and MicroTime.
  maxSurge: 'How many pods may exist above the desired number during the update: an absolute number (ex: 5) or a percentage (ex: 10%), rounded up. Not 0 if maxUnavailable is 0. Defaults to 25%.',
  'RollingUpdateDaemonSet.maxSurge': 'How many nodes with an available DaemonSet pod may have an updated one too during an update: an absolute number (ex: 5) or a percentage (ex: 10%), rounded up. Not 0 if maxUnavailable is 0. Defaults to 0.',
  maxUnavailable: 'How many pods may be unavailable during the update: an absolute number (ex: 5) or a percentage (ex: 10%), rounded down. Not 0 if maxSurge is 0. Defaults to 25%.',
  'RollingUpdateDaemonSet.maxUnavailable': 'How many DaemonSet pods may be unavailable during the update: an absolute number (ex: 5) or a percentage (ex: 10%), rounded up. Not 0 if maxSurge is 0. Defaults to 1.',
  'RollingUpdateStatefulSetStrategy.maxUnavailable': 'How many pods may be unavailable during the update: an absolute number (ex: 5) or a percentage (ex: 10%), rounded up. Not 0. Defaults to 1.',
  'PodDisruptionBudgetSpec.maxUnavailable': 'An eviction is allowed if at most "maxUnavailable" pods selected by "selector" are unavailable after it: a number or a percentage. Mutually exclusive with "minAvailable".',
  minAvailable: 'An eviction is allowed if at least "minAvailable" pods selected by "selector" are still available after it: a number or a percentage ("100%" prevents all voluntary evictions).',
  'HTTPGetAction.port': 'Name or number of the port to access on the container. Number must be in the range 1 to 65535. Name must be an IANA_SVC_NAME.',
  'TCPSocketAction.port': 'Name or number of the port to access on the container. Number must be in the range 1 to 65535. Name must be an IANA_SVC_NAME.',
  'NetworkPolicyPort.port': 'The port on the given protocol: a number or the name of a port on a pod. If not provided, all port names and numbers match.',
  targetPort: "Number or name of the port to access on the pods targeted by the service. If a name, it is looked up as a named port in the target pod's containers. Defaults to the value of 'port'; ignored for services with clusterIP=None. More info: https://kubernetes.io/docs/concepts/services-networking/service/#defining-a-service",
  acquireTime: 'When the current lease was acquired.', renewTime: 'When the current holder of the lease has last updated it.', pingTime: 'When the server has last asked the client to renew the lease candidate.',
  eventTime: 'When this Event was first observed.', lastObservedTime: 'When the last Event of the series was seen before the last heartbeat.',

  // Services and networking.
  loadBalancer: 'Current status of the load-balancer, if one is present.', sessionAffinityConfig: 'The configurations of session affinity.', clientIP: 'The configurations of Client IP based session affinity.', conditions: 'Information about the current status of the endpoint.', hints: 'Hints associated with how an endpoint should be consumed.',
  backend: 'The referenced service endpoint to which the traffic will be forwarded to.', defaultBackend: 'The backend that handles requests that don\'t match any rule.', http: 'List of paths and their backends.', service: 'References a service as a backend. Mutually exclusive with "resource".', 'IngressBackend.resource': 'A reference to another object in the namespace of the Ingress. Mutually exclusive with "service".', port: 'The port of the referenced service. A port name or port number is required.', parameters: 'A link to a custom resource containing additional configuration for the controller.',
  ipBlock: 'Policy on a particular IPBlock. If this field is set then neither of the other fields can be.', podSelector: 'Selects the pods to which this applies. An empty selector matches all pods.',

  // Events, RBAC, the rest.
  involvedObject: 'The object that this event is about.', regarding: 'The object this Event is about. In most cases it is the object the reporting controller implements.', related: 'Optional secondary object for more complex actions.', series: 'Data about the Event series this event represents or nil if it is a singleton Event.', source: 'The component reporting this event. Should be a short machine understandable string.', deprecatedSource: 'The deprecated field assuring backward compatibility with core.v1 Event type.',
  roleRef: 'RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If it cannot be resolved, the Authorizer must return an error. Immutable.', aggregationRule: "Describes how to build the Rules for this ClusterRole. If set, the Rules are controller managed and direct changes to Rules will be stomped by the controller.", scheduling: 'Scheduling constraints to ensure that pods running with this RuntimeClass are scheduled to nodes that support it.', scopeSelector: 'A collection of filters like scopes that must match each object tracked by a quota, expressed using ScopeSelectorOperator in combination with possible values.',

  // Admission.
  matchConstraints: 'The resources that this policy is for. A request has to match all that is said here, and none of the policies and bindings of admission itself ever does. Required.',
  matchResources: "Which of the requests that match the policy's constraints this binding is about. If unset, all of them.",
  paramKind: 'The kind of the objects that hold parameters for this policy. If absent, there are none, and expressions do not know params. If there is no such kind, failurePolicy says what happens.',
  paramRef: "The object with this binding's parameters: of the policy's paramKind. If it is not there, failurePolicy says what happens.",
  objectSelector: 'Which objects this is about, by their labels: one of the object as it was and as it will be has to match. What has no labels matches an empty selector only. People who make objects choose their labels, so this excludes nobody who does not want to be. Default: all objects.',
  applyConfiguration: 'An expression whose outcome is applied to the object as server-side apply does it.', jsonPatch: 'An expression whose outcome is a JSON patch of the object.',
  typeChecking: 'What checking the types in all expressions has found. If it is there, the check is done.', clientConfig: 'How to reach the webhook. Required.',
  'WebhookConversion.clientConfig': 'How to reach the webhook, if strategy is `Webhook`.',

  // Who may do what.
  'SelfSubjectReviewStatus.userInfo': 'The user who makes this request.', boundObjectRef: 'The object that the token is bound to: it is valid for as long as that exists. Whoever does not ask this API server learns of the end late: a short expirationSeconds keeps that time short.',
  'ResourceAttributes.fieldSelector': 'Restricts the access to what these fields select. It never adds any.', nonResourceAttributes: 'What is asked about a request for something that is no resource.', resourceAttributes: 'What is asked about a request for a resource.',

  // Priority and fairness.
  distinguisherMethod: 'What tells the flows of requests that match this schema apart. If unset, they are one flow.', priorityLevelConfiguration: 'The priority level of requests that match. If there is no such level, the schema is ignored and its status says so. Required.',
  queuing: 'How requests wait. Only if `type` is `"Queue"`.', limitResponse: 'What happens to a request that cannot be executed right now.', exempt: 'How an exempt level behaves. Only if `type` is `"Exempt"`; if empty, its defaults apply.',
  limited: 'How a limited level behaves. If and only if `type` is `"Limited"`.', 'FlowcontrolV1Subject.group': 'Matches users by a group of theirs.', 'FlowcontrolV1Subject.serviceAccount': 'Matches service accounts.',

  // Devices.
  networkData: 'What is known of the device as one of the network.', opaque: "Parameters that only the device's driver understands.", exactly: 'One request, to be satisfied as it is. Either this or firstAvailable.', cel: 'An expression that selects devices.',
  validRange: 'The range that a requested amount has to be in, and default, too. What is out of it is not allocated. An amount between two steps is rounded up.', requestPolicy: 'How much of this capacity a claim takes, where several claims may have the device. If unset, as much as it asks for, and all of it if it asks for none.',
  allocation: 'What was allocated, once it was.', pool: 'The pool that this slice is a part of.', basic: 'A device, by its attributes and capacities.', taint: 'The taint that matching devices get.',
  deviceSelector: 'The devices that get the taint: all criteria have to match. An empty selector matches all devices, none at all matches none.',
  ...inVersionsOfDevices({
    'AllocationResult.devices': 'The devices that were allocated.', 'AllocationResult.nodeSelector': 'Where what was allocated can be used. If unset, everywhere.', 'ResourceClaimSpec.devices': 'Which devices are asked for.',
    'Device.nodeSelector': 'The nodes that have the device, in one term. Only if perDeviceNodeSelection is set; one of nodeName, nodeSelector and allNodes.', 'BasicDevice.nodeSelector': 'The nodes that have the device, in one term. Only if perDeviceNodeSelection is set; one of nodeName, nodeSelector and allNodes.',
    'ResourceSliceSpec.nodeSelector': 'The nodes that can use the devices of the pool, in one term. One of nodeName, nodeSelector, allNodes and perDeviceNodeSelection.',
    'DeviceRequest.capacity': CAPACITY, 'DeviceSubRequest.capacity': CAPACITY, 'ExactDeviceRequest.capacity': CAPACITY,
  }),

  // Definitions, and what all kinds have.
  'CustomResourceConversion.webhook': 'How the webhook for conversions is called. Required if `strategy` is `"Webhook"`.', conversion: 'How objects are converted from one version to another.', 'CustomResourceDefinitionSpec.names': 'The names of the resource and its kind.',
  acceptedNames: 'The names that are served, which may be others than those of the spec.', 'CustomResourceDefinitionVersion.schema': 'What objects of this version are validated by, pruned and defaulted to.', 'CustomResourceDefinitionVersion.subresources': 'Which subresources this version has.',
  'CustomResourceSubresources.scale': 'Whether there is a `/scale`, which answers a Scale of `autoscaling/v1`.', openAPIV3Schema: 'The schema that objects are validated by and pruned to.',
  'Eviction.deleteOptions': 'Options of the deletion.', preconditions: 'What has to be so for the deletion to be carried out; if it is not, the answer is 409 Conflict.', preferredVersion: 'The version that the server prefers, which is likely the one it stores.',
  shardInfo: 'Set if the list is one shard of the collection: with the selector of the request, by which shards can be told apart and put together. Such a list is not the collection.', 'Status.details': 'More about the reason. What there is depends on it.',
  active: 'The configuration that the node uses: the assigned one, or the last known good one if that failed.', assigned: 'The configuration that the node is to use, as it has stored it.', lastKnownGood: 'The configuration that the node goes back to if the assigned one fails.',
  'IPAddressSpec.parentRef': PARENT, 'V1beta1IPAddressSpec.parentRef': PARENT, nodeTopology: 'The nodes that can use the storage that the capacity is of. If unset, none; if empty, all. Immutable.',
  // Told of the type alone.
  ...Object.fromEntries(['CertificateSigningRequest.metadata', 'CertificateSigningRequestList.metadata', 'IngressRule.http', ...['additionalItems', 'additionalProperties', 'example', 'items'].map((field) => `JSONSchemaProps.${field}`)].map((field) => [field, ''])),
}

/** Lists' metadata is ListMeta. */
export const LIST_METADATA_DOC = `Standard list metadata. More info: ${CONVENTIONS}#types-kinds`
