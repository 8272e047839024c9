/**
 * Numbers of the Kubernetes v1.36 types' fields on the protobuf wire, as upstream's Go types state them. Types and kinds
 * come from the schema; server/apiserver/protobuf/message-plan.ts joins the two, and a test there holds them together.
 *
 *   Model field[!|*][=number] ...
 *
 * A number left out is the previous field's plus one. `2.1`: field 1 of a struct that is field 2 and that JSON shows
 * inline. `!`: the zero value says something (a Go pointer, or no omitempty in JSON); without it Go's writer puts zeros
 * on the wire that JSON leaves out. `*`: a list in a message of its own. Lists of kinds (`metadata items`) are not named: all are alike.
 */
export function protobufFields(): string {
  return `APIGroup name! versions preferredVersion serverAddressByClientCIDRs
APIGroupList groups
APIResource name! namespaced! kind! verbs* shortNames singularName! categories group version storageVersionHash
APIResourceList groupVersion! resources
APIService metadata spec status
APIServiceCondition type! status! lastTransitionTime reason message
APIServiceSpec service group version insecureSkipTLSVerify caBundle groupPriorityMinimum!=7 versionPriority!
APIServiceStatus conditions
APIVersions versions serverAddressByClientCIDRs
AWSElasticBlockStoreVolumeSource volumeID! fsType partition readOnly
AdmissionregistrationV1ServiceReference namespace! name! path! port!
AdmissionregistrationV1WebhookClientConfig service caBundle url!
Affinity nodeAffinity podAffinity podAntiAffinity
AggregationRule clusterRoleSelectors
AllocatedDeviceStatus driver! pool! device! conditions data networkData shareID!
AllocationResult devices nodeSelector=3 allocationTimestamp=5
ApiextensionsV1ServiceReference namespace! name! path! port!
ApiextensionsV1WebhookClientConfig service caBundle url!
ApiregistrationV1ServiceReference namespace name port!
AppArmorProfile type! localhostProfile!
ApplyConfiguration expression
AttachedVolume name! devicePath!
AuditAnnotation key! valueExpression!
AuthenticationV1TokenRequest metadata spec status
AzureDiskVolumeSource diskName! diskURI! cachingMode! fsType! readOnly! kind!
AzureFilePersistentVolumeSource secretName! shareName! readOnly secretNamespace!
AzureFileVolumeSource secretName! shareName! readOnly
Binding metadata target
BoundObjectReference kind apiVersion name uid
CELDeviceSelector expression!
CSIDriver metadata spec
CSIDriverSpec attachRequired! podInfoOnMount! volumeLifecycleModes storageCapacity! fsGroupPolicy! tokenRequests requiresRepublish! seLinuxMount! nodeAllocatableUpdatePeriodSeconds! serviceAccountTokenInSecrets! preventPodSchedulingIfMissing!
CSINode metadata spec
CSINodeDriver name! nodeID! topologyKeys allocatable
CSINodeSpec drivers
CSIPersistentVolumeSource driver! volumeHandle! readOnly fsType volumeAttributes controllerPublishSecretRef nodeStageSecretRef nodePublishSecretRef controllerExpandSecretRef nodeExpandSecretRef
CSIStorageCapacity metadata nodeTopology storageClassName! capacity maximumVolumeSize
CSIVolumeSource driver! readOnly! fsType! volumeAttributes nodePublishSecretRef
Capabilities add drop
CapacityRequestPolicy default validValues=3 validRange
CapacityRequestPolicyRange min max step
CapacityRequirements requests
CephFSPersistentVolumeSource monitors path user secretFile secretRef readOnly
CephFSVolumeSource monitors path user secretFile secretRef readOnly
CertificateSigningRequest metadata spec status
CertificateSigningRequestCondition type! reason message lastUpdateTime lastTransitionTime status!
CertificateSigningRequestSpec request! username uid groups usages extra signerName! expirationSeconds!
CertificateSigningRequestStatus conditions certificate
CinderPersistentVolumeSource volumeID! fsType readOnly secretRef
CinderVolumeSource volumeID! fsType readOnly secretRef
ClientIPConfig timeoutSeconds!
ClusterRole metadata rules aggregationRule
ClusterRoleBinding metadata subjects roleRef
ClusterTrustBundleProjection name! signerName! labelSelector path! optional!
ComponentCondition type! status! message error
ComponentStatus metadata conditions
Condition type! status! observedGeneration lastTransitionTime reason! message!
ConfigMap metadata data binaryData immutable!
ConfigMapEnvSource name=1.1 optional!=2
ConfigMapKeySelector name=1.1 key!=2 optional!
ConfigMapNodeConfigSource namespace! name! uid resourceVersion kubeletConfigKey!
ConfigMapProjection name=1.1 items=2 optional!=4
ConfigMapVolumeSource name=1.1 items=2 defaultMode! optional!
Container name! image command args workingDir ports env resources volumeMounts livenessProbe readinessProbe lifecycle terminationMessagePath imagePullPolicy securityContext stdin stdinOnce tty envFrom terminationMessagePolicy volumeDevices startupProbe resizePolicy restartPolicy! restartPolicyRules
ContainerExtendedResourceRequest containerName! resourceName! requestName!
ContainerImage names sizeBytes
ContainerPort name hostPort containerPort! protocol hostIP
ContainerResizePolicy resourceName! restartPolicy!
ContainerRestartRule action exitCodes
ContainerRestartRuleOnExitCodes operator values
ContainerState waiting running terminated
ContainerStateRunning startedAt
ContainerStateTerminated exitCode! signal reason message startedAt finishedAt containerID
ContainerStateWaiting reason message
ContainerStatus name! state lastState ready! restartCount! image! imageID! containerID started! allocatedResources resources volumeMounts user allocatedResourcesStatus stopSignal!
ContainerUser linux
ControllerRevision metadata data revision!
CoreV1EndpointPort name port! protocol appProtocol!
CoreV1Event metadata involvedObject reason message source firstTimestamp lastTimestamp count type eventTime series action related reportingComponent! reportingInstance!
CoreV1EventSeries count lastObservedTime
CoreV1ResourceClaim name! request
Counter value
CounterSet name! counters
CronJob metadata spec status
CronJobSpec schedule! startingDeadlineSeconds! concurrencyPolicy suspend! jobTemplate successfulJobsHistoryLimit! failedJobsHistoryLimit! timeZone!
CronJobStatus active lastScheduleTime=4 lastSuccessfulTime
CrossVersionObjectReference kind! name! apiVersion
CustomResourceColumnDefinition name! type! format description priority jsonPath!
CustomResourceConversion strategy! webhook
CustomResourceDefinition metadata spec status
CustomResourceDefinitionCondition type! status! lastTransitionTime reason message observedGeneration
CustomResourceDefinitionNames plural! singular shortNames kind! listKind categories
CustomResourceDefinitionSpec group! names=3 scope! versions=7 conversion=9 preserveUnknownFields
CustomResourceDefinitionStatus conditions acceptedNames storedVersions observedGeneration
CustomResourceDefinitionVersion name! served! storage! schema subresources additionalPrinterColumns deprecated deprecationWarning! selectableFields
CustomResourceSubresourceScale specReplicasPath! statusReplicasPath! labelSelectorPath!
CustomResourceSubresourceStatus
CustomResourceSubresources status scale
CustomResourceValidation openAPIV3Schema
DaemonEndpoint Port!
DaemonSet metadata spec status
DaemonSetCondition type! status! lastTransitionTime reason message
DaemonSetSpec selector template updateStrategy minReadySeconds revisionHistoryLimit!=6
DaemonSetStatus currentNumberScheduled! numberMisscheduled! desiredNumberScheduled! numberReady! observedGeneration updatedNumberScheduled numberAvailable numberUnavailable collisionCount! conditions
DaemonSetUpdateStrategy type rollingUpdate
DeleteOptions gracePeriodSeconds! preconditions orphanDependents! propagationPolicy! dryRun ignoreStoreReadErrorWithClusterBreakingPotential!
Deployment metadata spec status
DeploymentCondition type! status! reason=4 message lastUpdateTime lastTransitionTime
DeploymentSpec replicas! selector template strategy minReadySeconds revisionHistoryLimit! paused progressDeadlineSeconds!=9
DeploymentStatus observedGeneration replicas updatedReplicas availableReplicas unavailableReplicas conditions readyReplicas collisionCount! terminatingReplicas!
DeploymentStrategy type rollingUpdate
Device name! attributes capacity consumesCounters nodeName! nodeSelector allNodes! taints bindsToNode! bindingConditions bindingFailureConditions allowMultipleAllocations! nodeAllocatableResourceMappings
DeviceAllocationConfiguration source! requests opaque=3.1
DeviceAllocationResult results config
DeviceAttribute int!=2 bool! string! version! ints bools strings versions
DeviceCapacity value requestPolicy
DeviceClaim requests constraints config
DeviceClaimConfiguration requests opaque=2.1
DeviceClass metadata spec
DeviceClassConfiguration opaque=1.1
DeviceClassSpec selectors config extendedResourceName!=4
DeviceConstraint requests matchAttribute! distinctAttribute!
DeviceCounterConsumption counterSet! counters
DeviceRequest name! exactly firstAvailable
DeviceRequestAllocationResult request! driver! pool! device! adminAccess! tolerations bindingConditions bindingFailureConditions shareID! consumedCapacity
DeviceSelector cel
DeviceSubRequest name! deviceClassName! selectors allocationMode count tolerations capacity
DeviceTaint key! value effect! timeAdded
DeviceToleration key operator value effect tolerationSeconds!
DiscoveryV1EndpointPort name! protocol! port! appProtocol!
DownwardAPIProjection items
DownwardAPIVolumeFile path! fieldRef resourceFieldRef mode!
DownwardAPIVolumeSource items defaultMode!
EmptyDirVolumeSource medium sizeLimit
Endpoint addresses conditions hostname! targetRef deprecatedTopology nodeName! zone! hints
EndpointAddress ip! targetRef hostname nodeName!
EndpointConditions ready! serving! terminating!
EndpointHints forZones forNodes
EndpointSlice metadata endpoints ports addressType!
EndpointSubset addresses notReadyAddresses ports
Endpoints metadata subsets
EnvFromSource prefix configMapRef secretRef
EnvVar name! value valueFrom
EnvVarSource fieldRef resourceFieldRef configMapKeyRef secretKeyRef fileKeyRef
EphemeralContainer name!=1.1 image command args workingDir ports env resources volumeMounts livenessProbe readinessProbe lifecycle terminationMessagePath imagePullPolicy securityContext stdin stdinOnce tty envFrom terminationMessagePolicy volumeDevices startupProbe resizePolicy restartPolicy! restartPolicyRules targetContainerName=2
EphemeralVolumeSource volumeClaimTemplate
EventSource component host
EventsV1Event metadata eventTime series reportingController reportingInstance action reason regarding related note type deprecatedSource deprecatedFirstTimestamp deprecatedLastTimestamp deprecatedCount
EventsV1EventSeries count! lastObservedTime
Eviction metadata deleteOptions
ExactDeviceRequest deviceClassName! selectors allocationMode count adminAccess! tolerations capacity
ExecAction command
ExemptPriorityLevelConfiguration nominalConcurrencyShares! lendablePercent!
ExpressionWarning fieldRef!=2 warning!
ExternalDocumentation description url
FCVolumeSource targetWWNs lun! fsType readOnly wwids
FieldSelectorAttributes rawSelector requirements
FieldSelectorRequirement key! operator! values
FileKeySelector volumeName! path! key! optional!
FlexPersistentVolumeSource driver! fsType secretRef readOnly options
FlexVolumeSource driver! fsType secretRef readOnly options
FlockerVolumeSource datasetName datasetUUID
FlowDistinguisherMethod type!
FlowSchema metadata spec status
FlowSchemaCondition type status lastTransitionTime reason message
FlowSchemaSpec priorityLevelConfiguration matchingPrecedence! distinguisherMethod rules
FlowSchemaStatus conditions
FlowcontrolV1Subject kind! user group serviceAccount
ForNode name!
ForZone name!
GCEPersistentDiskVolumeSource pdName! fsType partition readOnly
GRPCAction port! service!
GitRepoVolumeSource repository! revision directory
GlusterfsPersistentVolumeSource endpoints! path! readOnly endpointsNamespace!
GlusterfsVolumeSource endpoints! path! readOnly
GroupResource group! resource!
GroupSubject name!
GroupVersionForDiscovery groupVersion! version!
HTTPGetAction path port host scheme httpHeaders
HTTPHeader name! value!
HTTPIngressPath path backend pathType!
HTTPIngressRuleValue paths
HorizontalPodAutoscaler metadata spec status
HorizontalPodAutoscalerSpec scaleTargetRef minReplicas! maxReplicas! targetCPUUtilizationPercentage!
HorizontalPodAutoscalerStatus observedGeneration! lastScaleTime currentReplicas! desiredReplicas! currentCPUUtilizationPercentage!
HostAlias ip! hostnames
HostIP ip!
HostPathVolumeSource path! type!
IPAddress metadata spec
IPAddressSpec parentRef
IPBlock cidr! except
ISCSIPersistentVolumeSource targetPortal! iqn! lun! iscsiInterface fsType readOnly portals chapAuthDiscovery secretRef=10 chapAuthSession initiatorName!
ISCSIVolumeSource targetPortal! iqn! lun! iscsiInterface fsType readOnly portals chapAuthDiscovery secretRef=10 chapAuthSession initiatorName!
ImageVolumeSource reference pullPolicy
ImageVolumeStatus imageRef
Ingress metadata spec status
IngressBackend resource=3 service
IngressClass metadata spec
IngressClassParametersReference apiGroup! kind! name! scope! namespace!
IngressClassSpec controller parameters
IngressLoadBalancerIngress ip hostname ports=4
IngressLoadBalancerStatus ingress
IngressPortStatus port! protocol! error!
IngressRule host http=2.1
IngressServiceBackend name! port
IngressSpec defaultBackend tls rules ingressClassName!
IngressStatus loadBalancer
IngressTLS hosts secretName
JSONPatch expression
JSONSchemaProps id $schema $ref! description type format title default maximum! exclusiveMaximum minimum! exclusiveMinimum maxLength! minLength! pattern maxItems! minItems! uniqueItems multipleOf! enum maxProperties! minProperties! required items allOf oneOf anyOf not properties additionalProperties patternProperties dependencies additionalItems definitions externalDocs example nullable x-kubernetes-preserve-unknown-fields! x-kubernetes-embedded-resource x-kubernetes-int-or-string x-kubernetes-list-map-keys x-kubernetes-list-type! x-kubernetes-map-type! x-kubernetes-validations
Job metadata spec status
JobCondition type! status! lastProbeTime lastTransitionTime reason message
JobSpec parallelism! completions! activeDeadlineSeconds! selector manualSelector! template backoffLimit! ttlSecondsAfterFinished! completionMode! suspend! podFailurePolicy backoffLimitPerIndex! maxFailedIndexes! podReplacementPolicy! managedBy! successPolicy
JobStatus conditions startTime completionTime active succeeded failed completedIndexes uncountedTerminatedPods ready! failedIndexes! terminating!
JobTemplateSpec metadata spec
KeyToPath key! path! mode!
LabelSelector matchLabels matchExpressions
LabelSelectorAttributes rawSelector requirements
LabelSelectorRequirement key! operator! values
Lease metadata spec
LeaseSpec holderIdentity! leaseDurationSeconds! acquireTime renewTime leaseTransitions! strategy! preferredHolder!
Lifecycle postStart preStop stopSignal!
LifecycleHandler exec httpGet tcpSocket sleep
LimitRange metadata spec
LimitRangeItem type! max min default defaultRequest maxLimitRequestRatio
LimitRangeSpec limits
LimitResponse type! queuing
LimitedPriorityLevelConfiguration nominalConcurrencyShares! limitResponse lendablePercent! borrowingLimitPercent!
LinuxContainerUser uid! gid! supplementalGroups
ListMeta selfLink resourceVersion continue remainingItemCount! shardInfo
LoadBalancerIngress ip hostname ipMode! ports
LoadBalancerStatus ingress
LocalObjectReference name
LocalSubjectAccessReview metadata spec status
LocalVolumeSource path! fsType!
ManagedFieldsEntry manager operation apiVersion time fieldsType=6 fieldsV1 subresource
MatchCondition name! expression!
MatchResources namespaceSelector objectSelector resourceRules excludeResourceRules matchPolicy!=7
ModifyVolumeStatus targetVolumeAttributesClassName status!
MutatingAdmissionPolicy metadata spec
MutatingAdmissionPolicyBinding metadata spec
MutatingAdmissionPolicyBindingSpec policyName paramRef matchResources
MutatingAdmissionPolicySpec paramKind matchConstraints variables mutations failurePolicy! matchConditions reinvocationPolicy
MutatingWebhook name! clientConfig rules failurePolicy! namespaceSelector sideEffects! timeoutSeconds! admissionReviewVersions matchPolicy! reinvocationPolicy! objectSelector matchConditions
MutatingWebhookConfiguration metadata webhooks
Mutation patchType!=2 applyConfiguration jsonPatch
NFSVolumeSource server! path! readOnly
NamedRuleWithOperations resourceNames operations=2.1 apiGroups=2.2.1 apiVersions resources scope!
Namespace metadata spec status
NamespaceCondition type! status! lastTransitionTime=4 reason message
NamespaceSpec finalizers
NamespaceStatus phase conditions
NetworkDeviceData interfaceName ips hardwareAddress
NetworkPolicy metadata spec
NetworkPolicyEgressRule ports to
NetworkPolicyIngressRule ports from
NetworkPolicyPeer podSelector namespaceSelector ipBlock
NetworkPolicyPort protocol! port endPort!
NetworkPolicySpec podSelector ingress egress policyTypes
Node metadata spec status
NodeAddress type! address!
NodeAffinity requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution
NodeAllocatableResourceClaimStatus resourceClaimName! containers resources
NodeAllocatableResourceMapping capacityKey! allocationMultiplier
NodeCondition type! status! lastHeartbeatTime lastTransitionTime reason message
NodeConfigSource configMap=2
NodeConfigStatus assigned active lastKnownGood error
NodeDaemonEndpoints kubeletEndpoint
NodeFeatures supplementalGroupsPolicy!
NodeRuntimeHandler name! features
NodeRuntimeHandlerFeatures recursiveReadOnlyMounts! userNamespaces!
NodeSelector nodeSelectorTerms
NodeSelectorRequirement key! operator! values
NodeSelectorTerm matchExpressions matchFields
NodeSpec podCIDR externalID providerID unschedulable taints configSource podCIDRs
NodeStatus capacity allocatable phase conditions addresses daemonEndpoints nodeInfo images volumesInUse volumesAttached config runtimeHandlers features declaredFeatures
NodeSwapStatus capacity!
NodeSystemInfo machineID! systemUUID! bootID! kernelVersion! osImage! containerRuntimeVersion! kubeletVersion! kubeProxyVersion! operatingSystem! architecture! swap
NonResourceAttributes path verb
NonResourcePolicyRule verbs nonResourceURLs=6
NonResourceRule verbs nonResourceURLs
ObjectFieldSelector apiVersion fieldPath!
ObjectMeta name generateName namespace selfLink uid resourceVersion generation creationTimestamp deletionTimestamp deletionGracePeriodSeconds! labels annotations ownerReferences finalizers managedFields=17
ObjectReference kind namespace name uid apiVersion resourceVersion fieldPath
OpaqueDeviceConfiguration driver! parameters
Overhead podFixed
OwnerReference kind! name!=3 uid! apiVersion! controller! blockOwnerDeletion!
ParamKind apiVersion kind
ParamRef name namespace selector parameterNotFoundAction!
ParentReference group resource namespace name
PersistentVolume metadata spec status
PersistentVolumeClaim metadata spec status
PersistentVolumeClaimCondition type! status! lastProbeTime lastTransitionTime reason message
PersistentVolumeClaimSpec accessModes resources volumeName selector storageClassName! volumeMode! dataSource dataSourceRef volumeAttributesClassName!
PersistentVolumeClaimStatus phase accessModes capacity conditions allocatedResources allocatedResourceStatuses=7 currentVolumeAttributesClassName! modifyVolumeStatus
PersistentVolumeClaimTemplate metadata spec
PersistentVolumeClaimVolumeSource claimName! readOnly
PersistentVolumeSpec capacity gcePersistentDisk=2.1 awsElasticBlockStore hostPath glusterfs nfs rbd iscsi cinder cephfs fc flocker flexVolume azureFile vsphereVolume quobyte azureDisk photonPersistentDisk portworxVolume scaleIO local storageos csi accessModes=3 claimRef persistentVolumeReclaimPolicy storageClassName mountOptions volumeMode! nodeAffinity volumeAttributesClassName!
PersistentVolumeStatus phase message reason lastPhaseTransitionTime
PhotonPersistentDiskVolumeSource pdID! fsType
Pod metadata spec status
PodAffinity requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution
PodAffinityTerm labelSelector namespaces topologyKey! namespaceSelector matchLabelKeys mismatchLabelKeys
PodAntiAffinity requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution
PodCertificateProjection signerName keyType maxExpirationSeconds! credentialBundlePath keyPath certificateChainPath userAnnotations
PodCondition type! status! lastProbeTime lastTransitionTime reason message observedGeneration
PodDNSConfig nameservers searches options
PodDNSConfigOption name value!
PodDisruptionBudget metadata spec status
PodDisruptionBudgetSpec minAvailable selector maxUnavailable unhealthyPodEvictionPolicy!
PodDisruptionBudgetStatus observedGeneration disruptedPods disruptionsAllowed! currentHealthy! desiredHealthy! expectedPods! conditions
PodExtendedResourceClaimStatus requestMappings resourceClaimName!
PodFailurePolicy rules
PodFailurePolicyOnExitCodesRequirement containerName! operator! values
PodFailurePolicyOnPodConditionsPattern type! status!
PodFailurePolicyRule action! onExitCodes onPodConditions
PodIP ip!
PodOS name!
PodReadinessGate conditionType!
PodResourceClaim name! resourceClaimName!=3 resourceClaimTemplateName!
PodResourceClaimStatus name! resourceClaimName!
PodSchedulingGate name!
PodSchedulingGroup podGroupName!
PodSecurityContext seLinuxOptions runAsUser! runAsNonRoot! supplementalGroups fsGroup! runAsGroup! sysctls windowsOptions fsGroupChangePolicy! seccompProfile appArmorProfile supplementalGroupsPolicy! seLinuxChangePolicy!
PodSpec volumes containers restartPolicy terminationGracePeriodSeconds! activeDeadlineSeconds! dnsPolicy nodeSelector serviceAccountName serviceAccount nodeName hostNetwork hostPID hostIPC securityContext imagePullSecrets hostname subdomain affinity schedulerName initContainers automountServiceAccountToken! tolerations hostAliases priorityClassName priority! dnsConfig shareProcessNamespace! readinessGates runtimeClassName! enableServiceLinks! preemptionPolicy! overhead topologySpreadConstraints ephemeralContainers setHostnameAsFQDN! os hostUsers! schedulingGates resourceClaims resources hostnameOverride! schedulingGroup=43
PodStatus phase conditions message reason hostIP podIP startTime containerStatuses qosClass initContainerStatuses nominatedNodeName podIPs ephemeralContainerStatuses resize resourceClaimStatuses hostIPs observedGeneration extendedResourceClaimStatus allocatedResources resources nodeAllocatableResourceClaimStatuses
PodTemplate metadata template
PodTemplateSpec metadata spec
PolicyRule verbs apiGroups resources resourceNames nonResourceURLs
PolicyRulesWithSubjects subjects resourceRules nonResourceRules
PortStatus port! protocol! error!
PortworxVolumeSource volumeID! fsType readOnly
Preconditions uid! resourceVersion!
PreferredSchedulingTerm weight! preference
PriorityClass metadata value! globalDefault description preemptionPolicy!
PriorityLevelConfiguration metadata spec status
PriorityLevelConfigurationCondition type status lastTransitionTime reason message
PriorityLevelConfigurationReference name!
PriorityLevelConfigurationSpec type! limited exempt
PriorityLevelConfigurationStatus conditions
Probe exec=1.1 httpGet tcpSocket grpc initialDelaySeconds=2 timeoutSeconds periodSeconds successThreshold failureThreshold terminationGracePeriodSeconds!
ProjectedVolumeSource sources defaultMode!
QueuingConfiguration queues! handSize! queueLengthLimit!
QuobyteVolumeSource registry! volume! readOnly user group tenant
RBDPersistentVolumeSource monitors image! fsType pool user keyring secretRef readOnly
RBDVolumeSource monitors image! fsType pool user keyring secretRef readOnly
RbacV1Subject kind! apiGroup name! namespace
ReplicaSet metadata spec status
ReplicaSetCondition type! status! lastTransitionTime reason message
ReplicaSetSpec replicas! selector template minReadySeconds
ReplicaSetStatus replicas! fullyLabeledReplicas observedGeneration readyReplicas availableReplicas conditions terminatingReplicas!
ReplicationController metadata spec status
ReplicationControllerCondition type! status! lastTransitionTime reason message
ReplicationControllerSpec replicas! selector template minReadySeconds
ReplicationControllerStatus replicas! fullyLabeledReplicas observedGeneration readyReplicas availableReplicas conditions
ResourceAttributes namespace verb group version resource subresource name fieldSelector labelSelector
ResourceClaimConsumerReference apiGroup resource!=3 name! uid!
ResourceClaimSpec devices
ResourceClaimStatus allocation reservedFor devices=4
ResourceClaimTemplate metadata spec
ResourceClaimTemplateSpec metadata spec
ResourceFieldSelector containerName resource! divisor
ResourceHealth resourceID! health message!=6
ResourcePolicyRule verbs apiGroups resources clusterScope namespaces
ResourcePool name! generation! resourceSliceCount!
ResourceQuota metadata spec status
ResourceQuotaSpec hard scopes scopeSelector
ResourceQuotaStatus hard used
ResourceRequirements limits requests claims
ResourceRule verbs apiGroups resources resourceNames
ResourceSlice metadata spec
ResourceSliceSpec driver! pool nodeName! nodeSelector allNodes! devices perDeviceNodeSelection! sharedCounters
ResourceStatus name! resources
ResourceV1ResourceClaim metadata spec status
Role metadata rules
RoleBinding metadata subjects roleRef
RoleRef apiGroup! kind! name!
RollingUpdateDaemonSet maxUnavailable maxSurge
RollingUpdateDeployment maxUnavailable maxSurge
RollingUpdateStatefulSetStrategy partition! maxUnavailable
RuleWithOperations operations apiGroups=2.1 apiVersions resources scope!
RuntimeClass metadata handler! overhead scheduling
SELinuxOptions user role type level
Scale metadata spec status
ScaleIOPersistentVolumeSource gateway! system! secretRef sslEnabled protectionDomain storagePool storageMode volumeName fsType readOnly
ScaleIOVolumeSource gateway! system! secretRef sslEnabled protectionDomain storagePool storageMode volumeName fsType readOnly
ScaleSpec replicas
ScaleStatus replicas! selector
Scheduling nodeSelector tolerations
ScopeSelector matchExpressions
ScopedResourceSelectorRequirement scopeName! operator! values
SeccompProfile type! localhostProfile!
Secret metadata data type stringData immutable!
SecretEnvSource name=1.1 optional!=2
SecretKeySelector name=1.1 key!=2 optional!
SecretProjection name=1.1 items=2 optional!=4
SecretReference name namespace
SecretVolumeSource secretName items defaultMode! optional!
SecurityContext capabilities privileged! seLinuxOptions runAsUser! runAsNonRoot! readOnlyRootFilesystem! allowPrivilegeEscalation! runAsGroup! procMount! windowsOptions seccompProfile appArmorProfile
SelectableField jsonPath!
SelfSubjectAccessReview metadata spec status
SelfSubjectAccessReviewSpec resourceAttributes nonResourceAttributes
SelfSubjectReview metadata status
SelfSubjectReviewStatus userInfo
SelfSubjectRulesReview metadata spec status
SelfSubjectRulesReviewSpec namespace
ServerAddressByClientCIDR clientCIDR! serverAddress!
Service metadata spec status
ServiceAccount metadata secrets imagePullSecrets automountServiceAccountToken!
ServiceAccountSubject namespace! name!
ServiceAccountTokenProjection audience expirationSeconds! path!
ServiceBackendPort name number
ServiceCIDR metadata spec status
ServiceCIDRSpec cidrs
ServiceCIDRStatus conditions
ServicePort name protocol port! targetPort nodePort appProtocol!
ServiceSpec ports selector clusterIP type externalIPs sessionAffinity=7 loadBalancerIP loadBalancerSourceRanges externalName externalTrafficPolicy healthCheckNodePort publishNotReadyAddresses sessionAffinityConfig ipFamilyPolicy!=17 clusterIPs ipFamilies allocateLoadBalancerNodePorts! loadBalancerClass! internalTrafficPolicy! trafficDistribution!
ServiceStatus loadBalancer conditions
SessionAffinityConfig clientIP
ShardInfo selector!
SleepAction seconds!
StatefulSet metadata spec status
StatefulSetCondition type! status! lastTransitionTime reason message
StatefulSetOrdinals start!
StatefulSetPersistentVolumeClaimRetentionPolicy whenDeleted whenScaled
StatefulSetSpec replicas! selector template volumeClaimTemplates serviceName! podManagementPolicy updateStrategy revisionHistoryLimit! minReadySeconds persistentVolumeClaimRetentionPolicy ordinals
StatefulSetStatus observedGeneration replicas! readyReplicas currentReplicas updatedReplicas currentRevision updateRevision collisionCount!=9 conditions availableReplicas!
StatefulSetUpdateStrategy type rollingUpdate
Status metadata status message reason details code
StatusCause reason message field
StatusDetails name group kind causes retryAfterSeconds uid
StorageClass metadata provisioner! parameters reclaimPolicy! mountOptions allowVolumeExpansion! volumeBindingMode! allowedTopologies
StorageOSPersistentVolumeSource volumeName volumeNamespace fsType readOnly secretRef
StorageOSVolumeSource volumeName volumeNamespace fsType readOnly secretRef
StorageV1TokenRequest audience! expirationSeconds!
SubjectAccessReview metadata spec status
SubjectAccessReviewSpec resourceAttributes nonResourceAttributes user groups extra uid
SubjectAccessReviewStatus allowed! reason evaluationError denied
SubjectRulesReviewStatus resourceRules nonResourceRules incomplete! evaluationError
SuccessPolicy rules
SuccessPolicyRule succeededIndexes! succeededCount!
Sysctl name! value!
TCPSocketAction port host
Taint key! value effect! timeAdded
TokenRequestSpec audiences boundObjectRef=3 expirationSeconds!
TokenRequestStatus token! expirationTimestamp
TokenReview metadata spec status
TokenReviewSpec token audiences
TokenReviewStatus authenticated user error audiences
Toleration key operator value effect tolerationSeconds!
TopologySelectorLabelRequirement key! values
TopologySelectorTerm matchLabelExpressions
TopologySpreadConstraint maxSkew! topologyKey! whenUnsatisfiable! labelSelector minDomains! nodeAffinityPolicy! nodeTaintsPolicy! matchLabelKeys
TypeChecking expressionWarnings
TypedLocalObjectReference apiGroup! kind! name!
TypedObjectReference apiGroup! kind! name! namespace!
UncountedTerminatedPods succeeded failed
UserInfo username uid groups extra
UserSubject name!
V1alpha1ApplyConfiguration expression
V1alpha1ClusterTrustBundle metadata spec
V1alpha1ClusterTrustBundleSpec signerName trustBundle!
V1alpha1JSONPatch expression
V1alpha1MatchCondition name! expression!
V1alpha1MatchResources namespaceSelector objectSelector resourceRules excludeResourceRules matchPolicy!=7
V1alpha1MutatingAdmissionPolicy metadata spec
V1alpha1MutatingAdmissionPolicyBinding metadata spec
V1alpha1MutatingAdmissionPolicyBindingSpec policyName paramRef matchResources
V1alpha1MutatingAdmissionPolicySpec paramKind matchConstraints variables mutations failurePolicy! matchConditions reinvocationPolicy
V1alpha1Mutation patchType!=2 applyConfiguration jsonPatch
V1alpha1NamedRuleWithOperations resourceNames operations=2.1 apiGroups=2.2.1 apiVersions resources scope!
V1alpha1ParamKind apiVersion kind
V1alpha1ParamRef name namespace selector parameterNotFoundAction!
V1alpha1ServerStorageVersion apiServerID encodingVersion decodableVersions servedVersions
V1alpha1StorageVersion metadata spec status
V1alpha1StorageVersionCondition type! status! observedGeneration lastTransitionTime reason! message
V1alpha1StorageVersionSpec
V1alpha1StorageVersionStatus storageVersions commonEncodingVersion! conditions
V1alpha1Variable name! expression!
V1alpha2BasicSchedulingPolicy
V1alpha2GangSchedulingPolicy minCount!
V1alpha2LeaseCandidate metadata spec
V1alpha2LeaseCandidateSpec leaseName! pingTime renewTime binaryVersion! emulationVersion strategy
V1alpha2PodGroup metadata spec status
V1alpha2PodGroupResourceClaim name! resourceClaimName! resourceClaimTemplateName!
V1alpha2PodGroupResourceClaimStatus name! resourceClaimName!
V1alpha2PodGroupSchedulingConstraints topology
V1alpha2PodGroupSchedulingPolicy basic gang
V1alpha2PodGroupSpec podGroupTemplateRef schedulingPolicy schedulingConstraints resourceClaims disruptionMode! priorityClassName priority!
V1alpha2PodGroupStatus conditions resourceClaimStatuses
V1alpha2PodGroupTemplate name! schedulingPolicy schedulingConstraints resourceClaims disruptionMode! priorityClassName priority!
V1alpha2PodGroupTemplateReference workload
V1alpha2TopologyConstraint key!
V1alpha2TypedLocalObjectReference apiGroup kind! name!
V1alpha2Workload metadata spec
V1alpha2WorkloadPodGroupTemplateReference workloadName! podGroupTemplateName!
V1alpha2WorkloadSpec controllerRef podGroupTemplates
V1alpha3DeviceTaint key! value effect! timeAdded
V1alpha3DeviceTaintRule metadata spec status
V1alpha3DeviceTaintRuleSpec deviceSelector taint
V1alpha3DeviceTaintRuleStatus conditions
V1alpha3DeviceTaintSelector driver!=2 pool! device!
V1alpha3PoolStatus driver poolName nodeName! totalDevices! allocatedDevices! availableDevices! unavailableDevices! resourceSliceCount! generation! validationError!
V1alpha3ResourcePoolStatusRequest metadata spec status
V1alpha3ResourcePoolStatusRequestSpec driver! poolName! limit!
V1alpha3ResourcePoolStatusRequestStatus pools=2 conditions poolCount!=6
V1beta1AllocatedDeviceStatus driver! pool! device! conditions data networkData shareID!
V1beta1AllocationResult devices nodeSelector=3 allocationTimestamp=5
V1beta1ApplyConfiguration expression
V1beta1BasicDevice attributes capacity consumesCounters nodeName! nodeSelector allNodes! taints bindsToNode! bindingConditions bindingFailureConditions allowMultipleAllocations! nodeAllocatableResourceMappings
V1beta1CELDeviceSelector expression!
V1beta1CapacityRequestPolicy default validValues=3 validRange
V1beta1CapacityRequestPolicyRange min max step
V1beta1CapacityRequirements requests
V1beta1ClusterTrustBundle metadata spec
V1beta1ClusterTrustBundleSpec signerName trustBundle!
V1beta1Counter value
V1beta1CounterSet name! counters
V1beta1Device name! basic
V1beta1DeviceAllocationConfiguration source! requests opaque=3.1
V1beta1DeviceAllocationResult results config
V1beta1DeviceAttribute int!=2 bool! string! version! ints bools strings versions
V1beta1DeviceCapacity value requestPolicy
V1beta1DeviceClaim requests constraints config
V1beta1DeviceClaimConfiguration requests opaque=2.1
V1beta1DeviceClass metadata spec
V1beta1DeviceClassConfiguration opaque=1.1
V1beta1DeviceClassSpec selectors config extendedResourceName!=4
V1beta1DeviceConstraint requests matchAttribute! distinctAttribute!
V1beta1DeviceCounterConsumption counterSet! counters
V1beta1DeviceRequest name! deviceClassName! selectors allocationMode count adminAccess! firstAvailable tolerations capacity
V1beta1DeviceRequestAllocationResult request! driver! pool! device! adminAccess! tolerations bindingConditions bindingFailureConditions shareID! consumedCapacity
V1beta1DeviceSelector cel
V1beta1DeviceSubRequest name! deviceClassName! selectors allocationMode count tolerations=7 capacity
V1beta1DeviceTaint key! value effect! timeAdded
V1beta1DeviceToleration key operator value effect tolerationSeconds!
V1beta1IPAddress metadata spec
V1beta1IPAddressSpec parentRef
V1beta1JSONPatch expression
V1beta1LeaseCandidate metadata spec
V1beta1LeaseCandidateSpec leaseName! pingTime renewTime binaryVersion! emulationVersion strategy
V1beta1MatchCondition name! expression!
V1beta1MatchResources namespaceSelector objectSelector resourceRules excludeResourceRules matchPolicy!=7
V1beta1MutatingAdmissionPolicy metadata spec
V1beta1MutatingAdmissionPolicyBinding metadata spec
V1beta1MutatingAdmissionPolicyBindingSpec policyName paramRef matchResources
V1beta1MutatingAdmissionPolicySpec paramKind matchConstraints variables mutations failurePolicy! matchConditions reinvocationPolicy
V1beta1Mutation patchType!=2 applyConfiguration jsonPatch
V1beta1NamedRuleWithOperations resourceNames operations=2.1 apiGroups=2.2.1 apiVersions resources scope!
V1beta1NetworkDeviceData interfaceName ips hardwareAddress
V1beta1NodeAllocatableResourceMapping capacityKey! allocationMultiplier
V1beta1OpaqueDeviceConfiguration driver! parameters
V1beta1ParamKind apiVersion kind
V1beta1ParamRef name namespace selector parameterNotFoundAction!
V1beta1ParentReference group resource namespace name
V1beta1PodCertificateRequest metadata spec status
V1beta1PodCertificateRequestSpec signerName! podName! podUID! serviceAccountName! serviceAccountUID! nodeName! nodeUID! maxExpirationSeconds! pkixPublicKey! proofOfPossession! unverifiedUserAnnotations stubPKCS10Request!
V1beta1PodCertificateRequestStatus conditions certificateChain notBefore=4 beginRefreshAt notAfter
V1beta1ResourceClaim metadata spec status
V1beta1ResourceClaimConsumerReference apiGroup resource!=3 name! uid!
V1beta1ResourceClaimSpec devices
V1beta1ResourceClaimStatus allocation reservedFor devices=4
V1beta1ResourceClaimTemplate metadata spec
V1beta1ResourceClaimTemplateSpec metadata spec
V1beta1ResourcePool name! generation! resourceSliceCount!
V1beta1ResourceSlice metadata spec
V1beta1ResourceSliceSpec driver! pool nodeName nodeSelector allNodes devices perDeviceNodeSelection! sharedCounters
V1beta1ServiceCIDR metadata spec status
V1beta1ServiceCIDRSpec cidrs
V1beta1ServiceCIDRStatus conditions
V1beta1StorageVersionMigration metadata spec status
V1beta1StorageVersionMigrationSpec resource
V1beta1StorageVersionMigrationStatus conditions resourceVersion
V1beta1Variable name! expression!
V1beta1VolumeAttributesClass metadata driverName! parameters
V1beta2AllocatedDeviceStatus driver! pool! device! conditions data networkData shareID!
V1beta2AllocationResult devices nodeSelector=3 allocationTimestamp=5
V1beta2CELDeviceSelector expression!
V1beta2CapacityRequestPolicy default validValues=3 validRange
V1beta2CapacityRequestPolicyRange min max step
V1beta2CapacityRequirements requests
V1beta2Counter value
V1beta2CounterSet name! counters
V1beta2Device name! attributes capacity consumesCounters nodeName! nodeSelector allNodes! taints bindsToNode! bindingConditions bindingFailureConditions allowMultipleAllocations! nodeAllocatableResourceMappings
V1beta2DeviceAllocationConfiguration source! requests opaque=3.1
V1beta2DeviceAllocationResult results config
V1beta2DeviceAttribute int!=2 bool! string! version! ints bools strings versions
V1beta2DeviceCapacity value requestPolicy
V1beta2DeviceClaim requests constraints config
V1beta2DeviceClaimConfiguration requests opaque=2.1
V1beta2DeviceClass metadata spec
V1beta2DeviceClassConfiguration opaque=1.1
V1beta2DeviceClassSpec selectors config extendedResourceName!=4
V1beta2DeviceConstraint requests matchAttribute! distinctAttribute!
V1beta2DeviceCounterConsumption counterSet! counters
V1beta2DeviceRequest name! exactly firstAvailable
V1beta2DeviceRequestAllocationResult request! driver! pool! device! adminAccess! tolerations bindingConditions bindingFailureConditions shareID! consumedCapacity
V1beta2DeviceSelector cel
V1beta2DeviceSubRequest name! deviceClassName! selectors allocationMode count tolerations capacity
V1beta2DeviceTaint key! value effect! timeAdded
V1beta2DeviceTaintRule metadata spec status
V1beta2DeviceTaintRuleSpec deviceSelector taint
V1beta2DeviceTaintRuleStatus conditions
V1beta2DeviceTaintSelector driver!=2 pool! device!
V1beta2DeviceToleration key operator value effect tolerationSeconds!
V1beta2ExactDeviceRequest deviceClassName! selectors allocationMode count adminAccess! tolerations capacity
V1beta2NetworkDeviceData interfaceName ips hardwareAddress
V1beta2NodeAllocatableResourceMapping capacityKey! allocationMultiplier
V1beta2OpaqueDeviceConfiguration driver! parameters
V1beta2ResourceClaim metadata spec status
V1beta2ResourceClaimConsumerReference apiGroup resource!=3 name! uid!
V1beta2ResourceClaimSpec devices
V1beta2ResourceClaimStatus allocation reservedFor devices=4
V1beta2ResourceClaimTemplate metadata spec
V1beta2ResourceClaimTemplateSpec metadata spec
V1beta2ResourcePool name! generation! resourceSliceCount!
V1beta2ResourceSlice metadata spec
V1beta2ResourceSliceSpec driver! pool nodeName! nodeSelector allNodes! devices perDeviceNodeSelection! sharedCounters
V2ContainerResourceMetricSource name! target container!
V2ContainerResourceMetricStatus name! current container!
V2CrossVersionObjectReference kind! name! apiVersion
V2ExternalMetricSource metric target
V2ExternalMetricStatus metric current
V2HPAScalingPolicy type! value! periodSeconds!
V2HPAScalingRules selectPolicy! policies stabilizationWindowSeconds! tolerance
V2HorizontalPodAutoscaler metadata spec status
V2HorizontalPodAutoscalerBehavior scaleUp scaleDown
V2HorizontalPodAutoscalerCondition type! status! lastTransitionTime reason message
V2HorizontalPodAutoscalerSpec scaleTargetRef minReplicas! maxReplicas! metrics behavior
V2HorizontalPodAutoscalerStatus observedGeneration! lastScaleTime currentReplicas desiredReplicas! currentMetrics conditions
V2MetricIdentifier name! selector
V2MetricSpec type! object pods resource external containerResource=7
V2MetricStatus type! object pods resource external containerResource=7
V2MetricTarget type! value averageValue averageUtilization!
V2MetricValueStatus value averageValue averageUtilization!
V2ObjectMetricSource describedObject target metric
V2ObjectMetricStatus metric current describedObject
V2PodsMetricSource metric target
V2PodsMetricStatus metric current
V2ResourceMetricSource name! target
V2ResourceMetricStatus name! current
ValidatingAdmissionPolicy metadata spec status
ValidatingAdmissionPolicyBinding metadata spec
ValidatingAdmissionPolicyBindingSpec policyName paramRef matchResources validationActions
ValidatingAdmissionPolicySpec paramKind matchConstraints validations failurePolicy! auditAnnotations matchConditions variables
ValidatingAdmissionPolicyStatus observedGeneration typeChecking conditions
ValidatingWebhook name! clientConfig rules failurePolicy! namespaceSelector sideEffects! timeoutSeconds! admissionReviewVersions matchPolicy! objectSelector matchConditions
ValidatingWebhookConfiguration metadata webhooks
Validation expression! message reason! messageExpression
ValidationRule rule! message messageExpression reason! fieldPath optionalOldSelf!
Variable name! expression!
Volume name! hostPath=2.1 emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi glusterfs persistentVolumeClaim rbd flexVolume cinder cephfs flocker downwardAPI fc azureFile configMap vsphereVolume quobyte azureDisk photonPersistentDisk portworxVolume scaleIO projected storageos csi ephemeral image
VolumeAttachment metadata spec status
VolumeAttachmentSource persistentVolumeName! inlineVolumeSpec
VolumeAttachmentSpec attacher! source nodeName!
VolumeAttachmentStatus attached! attachmentMetadata attachError detachError
VolumeAttributesClass metadata driverName! parameters
VolumeDevice name! devicePath!
VolumeError time message errorCode!
VolumeMount name! readOnly mountPath! subPath mountPropagation! subPathExpr recursiveReadOnly!
VolumeMountStatus name! mountPath! readOnly recursiveReadOnly! volumeStatus
VolumeNodeAffinity required
VolumeNodeResources count!
VolumeProjection secret downwardAPI configMap serviceAccountToken clusterTrustBundle podCertificate
VolumeResourceRequirements limits requests
VolumeStatus image
VsphereVirtualDiskVolumeSource volumePath! fsType storagePolicyName storagePolicyID
WatchEvent type! object
WebhookConversion clientConfig=2 conversionReviewVersions
WeightedPodAffinityTerm weight! podAffinityTerm
WindowsSecurityContextOptions gmsaCredentialSpecName! gmsaCredentialSpec! runAsUserName! hostProcess!`
}
