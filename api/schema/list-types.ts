/**
 * What upstream's Go types say in markers (`+listType`, `+listMapKey`, `+structType`, `+mapType`, `patchStrategy`,
 * `patchMergeKey`, `+default`) and the dependency that the schema is generated from does not carry. Written and kept
 * by hand, read by scripts/generate-schema.ts only, which fails on a name that no model has. Lists not named are atomic,
 * structs and maps not named are granular. Names are those of api/types.
 */

export interface ListRow {
  /** `atomic`, `set`, or the keys of a map, first the merge key. */
  list: 'atomic' | 'set' | readonly string[]
  /** patchStrategy; the merge key is the list's first key, or `by`. */
  patch?: 'merge' | 'merge,retainKeys'
  by?: string
  /** `Model.field`. */
  fields: readonly string[]
}

const withConditions = (...models: string[]) => models.map((model) => `${model}Status.conditions`)
const inContainers = (field: string) => [`Container.${field}`, `EphemeralContainer.${field}`]
/** resource.k8s.io is served in three versions of one shape. */
const inDraVersions = (...fields: string[]) => ['', 'V1beta1', 'V1beta2'].flatMap((v) => fields.map((f) => v + f))

export const LIST_ROWS: readonly ListRow[] = [
  // Pods and their templates.
  { list: ['name'], patch: 'merge', fields: ['PodSpec.containers', 'PodSpec.initContainers', 'PodSpec.ephemeralContainers', 'PodSpec.imagePullSecrets', 'PodSpec.schedulingGates'] },
  { list: ['name'], patch: 'merge,retainKeys', fields: ['PodSpec.volumes', 'PodSpec.resourceClaims', 'PodStatus.resourceClaimStatuses'] },
  { list: ['ip'], patch: 'merge', fields: ['PodSpec.hostAliases', 'PodStatus.podIPs'] },
  { list: 'atomic', patch: 'merge', by: 'ip', fields: ['PodStatus.hostIPs'] },
  { list: ['topologyKey', 'whenUnsatisfiable'], patch: 'merge', fields: ['PodSpec.topologySpreadConstraints'] },
  { list: ['name'], patch: 'merge', fields: [...inContainers('env'), 'ContainerStatus.allocatedResourcesStatus'] },
  { list: ['containerPort', 'protocol'], patch: 'merge', fields: inContainers('ports') },
  { list: ['mountPath'], patch: 'merge', fields: [...inContainers('volumeMounts'), 'ContainerStatus.volumeMounts'] },
  { list: ['devicePath'], patch: 'merge', fields: inContainers('volumeDevices') },
  { list: ['name'], fields: ['ResourceRequirements.claims'] },
  { list: ['resourceID'], fields: ['ResourceStatus.resources'] },
  { list: 'set', fields: ['ContainerRestartRuleOnExitCodes.values', 'NodeAllocatableResourceClaimStatus.containers'] },

  // The rest of core/v1 and metadata.
  { list: ['port', 'protocol'], patch: 'merge', fields: ['ServiceSpec.ports'] },
  { list: ['name'], patch: 'merge', fields: ['ServiceAccount.secrets'] },
  { list: ['type'], patch: 'merge', fields: ['NodeStatus.addresses'] },
  { list: 'set', patch: 'merge', fields: ['NodeSpec.podCIDRs', 'ObjectMeta.finalizers'] },
  { list: ['uid'], patch: 'merge', fields: ['ObjectMeta.ownerReferences'] },

  // Conditions: nearly all are maps by type, with or without a merge key for strategic merge patch.
  {
    list: ['type'], patch: 'merge', fields: [
      'ComponentStatus.conditions',
      ...withConditions('Pod', 'Node', 'Namespace', 'Service', 'PersistentVolumeClaim', 'ReplicationController'),
      ...withConditions('Deployment', 'ReplicaSet', 'DaemonSet', 'StatefulSet', 'PodDisruptionBudget', 'V2HorizontalPodAutoscaler', 'APIService'),
      ...withConditions('FlowSchema', 'PriorityLevelConfiguration', 'ServiceCIDR', 'V1beta1ServiceCIDR', 'V1beta1PodCertificateRequest'),
      ...withConditions('V1beta1StorageVersionMigration', 'V1alpha2PodGroup', 'V1alpha3DeviceTaintRule', 'V1beta2DeviceTaintRule', 'V1alpha3ResourcePoolStatusRequest'),
    ],
  },
  { list: ['type'], fields: [...withConditions('ValidatingAdmissionPolicy', 'V1alpha1StorageVersion', 'CertificateSigningRequest', 'CustomResourceDefinition'), ...inDraVersions('AllocatedDeviceStatus.conditions')] },
  { list: 'atomic', patch: 'merge', by: 'type', fields: withConditions('Job') },

  // batch, discovery, flowcontrol, storage.
  { list: 'set', fields: ['PodFailurePolicyOnExitCodesRequirement.values', 'UncountedTerminatedPods.failed', 'UncountedTerminatedPods.succeeded', 'Endpoint.addresses'] },
  { list: 'set', fields: ['NonResourcePolicyRule.nonResourceURLs', 'NonResourcePolicyRule.verbs', 'ResourcePolicyRule.apiGroups', 'ResourcePolicyRule.namespaces', 'ResourcePolicyRule.resources', 'ResourcePolicyRule.verbs'] },
  { list: 'set', fields: ['CSIDriverSpec.volumeLifecycleModes'] },
  { list: ['name'], patch: 'merge', fields: ['CSINodeSpec.drivers'] },

  // Admission policies and webhooks, custom resources.
  {
    list: ['name'], patch: 'merge', fields: [
      'MutatingWebhookConfiguration.webhooks', 'ValidatingWebhookConfiguration.webhooks', 'MutatingWebhook.matchConditions', 'ValidatingWebhook.matchConditions',
      'ValidatingAdmissionPolicySpec.matchConditions', 'ValidatingAdmissionPolicySpec.variables',
      'MutatingAdmissionPolicySpec.matchConditions', 'V1alpha1MutatingAdmissionPolicySpec.matchConditions', 'V1beta1MutatingAdmissionPolicySpec.matchConditions',
    ],
  },
  { list: 'set', fields: ['ValidatingAdmissionPolicyBindingSpec.validationActions'] },
  { list: ['rule'], patch: 'merge', fields: ['JSONSchemaProps.x-kubernetes-validations'] },

  // Dynamic resources, workloads, storage versions.
  { list: ['driver', 'device', 'pool', 'shareID'], fields: inDraVersions('ResourceClaimStatus.devices') },
  { list: ['uid'], patch: 'merge', fields: inDraVersions('ResourceClaimStatus.reservedFor') },
  { list: ['name'], patch: 'merge,retainKeys', fields: ['V1alpha2PodGroupSpec.resourceClaims', 'V1alpha2PodGroupTemplate.resourceClaims', 'V1alpha2PodGroupStatus.resourceClaimStatuses'] },
  { list: ['name'], fields: ['V1alpha2WorkloadSpec.podGroupTemplates'] },
  { list: 'set', fields: ['V1alpha1ServerStorageVersion.decodableVersions', 'V1alpha1ServerStorageVersion.servedVersions'] },
  { list: ['apiServerID'], fields: ['V1alpha1StorageVersionStatus.storageVersions'] },
]

/** `+structType=atomic`: server-side apply owns these as a whole. */
export const ATOMIC_STRUCTS: readonly string[] = [
  'LabelSelector', 'OwnerReference',
  'ObjectReference', 'LocalObjectReference', 'TypedLocalObjectReference', 'SecretReference', 'CrossVersionObjectReference',
  'ConfigMapKeySelector', 'SecretKeySelector', 'FileKeySelector', 'ObjectFieldSelector', 'ResourceFieldSelector',
  'NodeSelector', 'NodeSelectorTerm', 'TopologySelectorTerm', 'ScopeSelector',
  'EndpointAddress', 'CoreV1EndpointPort', 'DiscoveryV1EndpointPort', 'ServiceBackendPort',
  'RoleRef', 'RbacV1Subject',
  ...['', 'V1alpha1', 'V1beta1'].flatMap((v) => ['MatchResources', 'NamedRuleWithOperations', 'ParamKind', 'ParamRef'].map((name) => v + name)),
  'Variable', 'V1beta1Variable',
]

/** `+mapType` and `+structType` on one field; `granular` here overrides an atomic struct, or is merely stated by upstream. */
export const MAP_TYPES: Readonly<Record<string, 'atomic' | 'granular'>> = {
  'PodSpec.nodeSelector': 'atomic',
  'ServiceSpec.selector': 'atomic',
  'ReplicationControllerSpec.selector': 'atomic',
  'Scheduling.nodeSelector': 'atomic',
  'PersistentVolumeSpec.claimRef': 'granular',
  'PersistentVolumeClaimStatus.allocatedResourceStatuses': 'granular',
}

/** patchStrategy on fields that are no lists. */
export const FIELD_STRATEGIES: Readonly<Record<string, string>> = {
  'DeploymentSpec.strategy': 'retainKeys',
  'PodDisruptionBudgetSpec.selector': 'replace',
}

/** Fields of type resource.Quantity, or lists or maps of it: the dependency calls them strings. */
export const QUANTITIES: readonly string[] = [
  ...['ResourceRequirements', 'VolumeResourceRequirements'].flatMap((m) => [`${m}.limits`, `${m}.requests`]),
  'ContainerStatus.allocatedResources', 'PodSpec.overhead', 'PodStatus.allocatedResources', 'NodeAllocatableResourceClaimStatus.resources', 'Overhead.podFixed',
  'EmptyDirVolumeSource.sizeLimit', 'ResourceFieldSelector.divisor',
  'NodeStatus.allocatable', 'NodeStatus.capacity',
  'PersistentVolumeSpec.capacity', 'PersistentVolumeClaimStatus.capacity', 'PersistentVolumeClaimStatus.allocatedResources',
  'CSIStorageCapacity.capacity', 'CSIStorageCapacity.maximumVolumeSize',
  ...['default', 'defaultRequest', 'max', 'maxLimitRequestRatio', 'min'].map((f) => `LimitRangeItem.${f}`),
  'ResourceQuotaSpec.hard', 'ResourceQuotaStatus.hard', 'ResourceQuotaStatus.used',
  'V2HPAScalingRules.tolerance', ...['V2MetricTarget', 'V2MetricValueStatus'].flatMap((m) => [`${m}.averageValue`, `${m}.value`]),
  ...inDraVersions(
    'CapacityRequestPolicy.default', 'CapacityRequestPolicy.validValues', 'CapacityRequestPolicyRange.max', 'CapacityRequestPolicyRange.min', 'CapacityRequestPolicyRange.step',
    'CapacityRequirements.requests', 'Counter.value', 'DeviceCapacity.value', 'DeviceRequestAllocationResult.consumedCapacity', 'NodeAllocatableResourceMapping.allocationMultiplier',
  ),
]

/**
 * What stands behind the dependency's `any`: `struct` names a model without fields, the rest are OpenAPI definitions
 * of free-form JSON.
 */
export const FREE_FORM: Readonly<Record<string, string>> = {
  ...Object.fromEntries(['ControllerRevision.data', 'WatchEvent.object', ...inDraVersions('AllocatedDeviceStatus.data', 'OpaqueDeviceConfiguration.parameters')].map((f) => [f, 'RawExtension'])),
  'ManagedFieldsEntry.fieldsV1': 'FieldsV1',
  'JSONSchemaProps.additionalItems': 'JSONSchemaPropsOrBool',
  'JSONSchemaProps.additionalProperties': 'JSONSchemaPropsOrBool',
  'JSONSchemaProps.items': 'JSONSchemaPropsOrArray',
  'JSONSchemaProps.dependencies': 'JSONSchemaPropsOrStringArray',
  'JSONSchemaProps.default': 'JSON',
  'JSONSchemaProps.example': 'JSON',
  'JSONSchemaProps.enum': 'JSON',
  'CustomResourceSubresources.status': 'struct CustomResourceSubresourceStatus',
  'V1alpha1StorageVersion.spec': 'struct V1alpha1StorageVersionSpec',
  'V1alpha2PodGroupSchedulingPolicy.basic': 'struct V1alpha2BasicSchedulingPolicy',
}

/** `+default`: what a missing key of an associative list, or a reader of OpenAPI v3, is to assume. */
export const DEFAULTS: Readonly<Record<string, unknown>> = {
  'ContainerPort.protocol': 'TCP',
  'ServicePort.protocol': 'TCP',
  'LocalObjectReference.name': '',
  'ConfigMapKeySelector.name': '', 'SecretKeySelector.name': '',
  'ConfigMapEnvSource.name': '', 'SecretEnvSource.name': '',
  'ConfigMapProjection.name': '', 'SecretProjection.name': '', 'ConfigMapVolumeSource.name': '',
  'AzureDiskVolumeSource.cachingMode': 'ReadWrite', 'AzureDiskVolumeSource.fsType': 'ext4', 'AzureDiskVolumeSource.kind': 'Shared', 'AzureDiskVolumeSource.readOnly': false,
  'ISCSIVolumeSource.iscsiInterface': 'default', 'ISCSIPersistentVolumeSource.iscsiInterface': 'default',
  ...Object.fromEntries(['RBDVolumeSource', 'RBDPersistentVolumeSource'].flatMap((m) => [[`${m}.keyring`, '/etc/ceph/keyring'], [`${m}.pool`, 'rbd'], [`${m}.user`, 'admin']])),
  'ScaleIOVolumeSource.fsType': 'xfs', 'ScaleIOVolumeSource.storageMode': 'ThinProvisioned',
  'ScaleIOPersistentVolumeSource.fsType': 'xfs', 'ScaleIOPersistentVolumeSource.storageMode': 'ThinProvisioned',
  'GRPCAction.service': '',
  'ScaleSpec.replicas': 0, 'ReplicationControllerSpec.minReadySeconds': 0, 'ReplicationControllerSpec.replicas': 1, 'FileKeySelector.optional': false,
  'DeviceToleration.operator': 'Equal', 'V1beta1DeviceToleration.operator': 'Equal', 'V1beta2DeviceToleration.operator': 'Equal',
  'V1beta1PodCertificateRequestSpec.maxExpirationSeconds': 86_400, 'V1alpha3ResourcePoolStatusRequestSpec.limit': 100, 'V1alpha2PodGroupSpec.disruptionMode': 'Pod',
}

/** `+union`: one of the members is set, as the discriminator (if any) says. OpenAPI's x-kubernetes-unions. */
export const UNIONS: Readonly<Record<string, { discriminator?: string; members: Readonly<Record<string, string>> }>> = {
  AppArmorProfile: { discriminator: 'type', members: { localhostProfile: 'LocalhostProfile' } },
  SeccompProfile: { discriminator: 'type', members: { localhostProfile: 'LocalhostProfile' } },
  LimitResponse: { discriminator: 'type', members: { queuing: 'Queuing' } },
  PriorityLevelConfigurationSpec: { discriminator: 'type', members: { exempt: 'Exempt', limited: 'Limited' } },
  FlowcontrolV1Subject: { discriminator: 'kind', members: { group: 'Group', serviceAccount: 'ServiceAccount', user: 'User' } },
  PodSchedulingGroup: { members: { podGroupName: 'PodGroupName' } },
  V1alpha2PodGroupSchedulingPolicy: { members: { basic: 'Basic', gang: 'Gang' } },
  V1alpha2PodGroupTemplateReference: { members: { workload: 'Workload' } },
}
