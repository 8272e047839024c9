/** Upstream's integration tests that fail against skiff, or are not run, each with its reason; what is skiff's own is told in server/DIVERGENCE.md, too. */

export interface Entry {
  /** As folders.ts has it, without test/integration/. */
  readonly folder: string
  /** Whole names, those of subtests with their parents' before a slash. */
  readonly tests: RegExp
  readonly reason: string
}

/** Not run: they would wait for what cannot come, or end the program with all other tests. */
export const LEFT_OUT: readonly { readonly folder: string; readonly tests: readonly string[]; readonly reason: string }[] = [
  { folder: 'apiextensions', tests: ['TestEtcdStorage', 'TestInvalidObjectMetaInStorage', 'TestPruningFromStorage'], reason: 'they look into etcd, or put something into it' },
  { folder: 'apiserver', tests: ['TestListOptions', 'TestHealthHandler', 'TestWatchCacheUpdatedByEtcd'], reason: 'they have an etcd of their own' },
  { folder: 'apiserver', tests: ['TestOpenShiftValidateWhiteListedSecretTypeMutationUpdateAllowed'], reason: 'not upstream\'s: a distribution\'s' },
  { folder: 'apimachinery', tests: ['TestReflectorWatchListFallback'], reason: 'it has an etcd of its own' },
  { folder: 'examples', tests: ['TestAggregatedAPIServer'], reason: 'its extension API server keeps things in an etcd, and without one ends the program' },
  { folder: 'auth', tests: ['TestRBACContextContamination'], reason: 'it asks upstream\'s own authorizer, in its own process' },
]

const ETCD = 'it looks into etcd'
const AHEAD = 'served without a gate, though alpha or beta: the test has no data for it'
const GATES = 'it turns a feature off; skiff has no feature gates'
const CERTIFICATES_OF_PODS = 'nodes have no rights to PodCertificateRequests, as upstream without a gate'
const METRICS = 'a metric that skiff does not have'
const WITHIN = 'the test\'s own part of the server is asked over a webhook here, which does not tell its errors'
const HEALTH = '`/healthz` and `/version` are for everybody'
const NETWORKS = 'which families of addresses there are is fixed when the cluster is made'
const TUNNEL = 'the server reaches nodes by their own tunnels; the test\'s kubelet is an address to be dialed'

export const EXPECTED: readonly Entry[] = [
  { folder: 'apiextensions', tests: /^Test(?:PreserveInt|Patch)$/, reason: 'integers over 2^53 are rounded' },
  { folder: 'apiextensions', tests: /^TestForProperValidationErrors$/, reason: 'a custom resource of another kind than its URL\'s is refused in the words for built-in kinds' },
  { folder: 'apiextensions', tests: /^TestCustomResourceDefaultingOfMetaFields$/, reason: ETCD },
  { folder: 'apiextensions', tests: /^TestFieldSelectorOpenAPI\/OpenAPIv2$/, reason: 'extensions travel as JSON in the protobuf form of the document, which is YAML, too; the test compares texts' },

  { folder: 'apiextensions/conversion', tests: /\/nontrivial-converter-v1(?:beta1)?\/check-[356]\/|^TestWebhookConversion_WhitespaceCABundleEtcdBypass$/, reason: ETCD },
  { folder: 'apiextensions/conversion', tests: /\/empty-response-v1(?:beta1)?\/check-0\/(?:list|deletecollection)$/, reason: 'a webhook is asked once for a list: another number is missing' },

  { folder: 'apimachinery', tests: /^TestCheckFieldItemsInEmptyList$/, reason: 'the list of componentstatuses has some' },

  { folder: 'apimachinery/apply', tests: /^TestApply\/optional-list-map-key$/, reason: 'its kind (carps) is one of the test\'s own program' },

  { folder: 'apiserver', tests: /^TestTransform\/v1(?:beta1)?_verify_columns_on_CRDs_in_yaml$/, reason: 'the refusal of a watch in YAML is not in the form that the client reads' },
  { folder: 'apiserver', tests: /^TestCustomResourceValidators\/CRD_writes_MUST_fail_for_a_non-structural_schema_containing_x-kubernetes-validations$/, reason: ETCD },
  { folder: 'apiserver', tests: /^TestCustomResourceValidatorsWithSchemaConversion$/, reason: 'rules below a schema that is none are not compiled, instead of refused with each object' },
  { folder: 'apiserver', tests: /^TestHealthHandlerLoopbackServingCertificate$/, reason: 'there is no connection of the server to itself whose certificate could end' },
  { folder: 'apiserver', tests: /^TestShardedListFeatureGateDisabled$/, reason: 'shardSelector is served without a gate' },
  { folder: 'apiserver', tests: /^TestRequestObjectConvertibleToUnstructured$/, reason: 'JSON that is none, in protobuf, gets 400; upstream ends the stream' },

  { folder: 'apiserver/admissionwebhook', tests: /^TestWebhookTimeoutWith(?:out)?WatchCache\/timed_out_client_requests_skip_later_mutating_webhooks/, reason: 'the Status of a request that took too long is told as JSON, not as text' },
  { folder: 'apiserver/admissionwebhook', tests: /^TestWebhookLoadBalance\//, reason: 'webhooks are asked over HTTP/1.1; their Service is found in the cluster, not by the test\'s resolver' },

  { folder: 'apiserver/apply', tests: /^Test(?:Create|Update|Patch)VeryLargeObject$/, reason: 'objects may be larger than etcd\'s requests (1.5 MiB)' },
  { folder: 'apiserver/apply', tests: /^Test(?:ApplyResetFields|FieldsWipingConsistency|ApplyStatus)\/(?:resource\.k8s\.io\/v1alpha3|resource\.k8s\.io\/v1beta2,_Resource=devicetaintrules|storagemigration\.k8s\.io\/v1beta1|certificates\.k8s\.io\/v1beta1,_Resource=podcertificaterequests|scheduling\.k8s\.io\/v1alpha2)/, reason: AHEAD },

  { folder: 'apiserver/cel', tests: /^TestPolicyAdmission\/.*\/deletecollection$/, reason: 'each object of a deletecollection is shown with its name' },
  { folder: 'apiserver/cel', tests: /^TestPolicyAdmission\/\.v1\.bindings\/create$/, reason: 'a Binding is shown as `pods/binding`' },
  { folder: 'apiserver/cel', tests: /^TestMutatingAdmissionPolicy_Slow\/v1(?:beta1)?\/mutate_status_subresource$/, reason: 'times that nobody set are absent, not null' },
  { folder: 'apiserver/cel', tests: /^TestAuthorizationDecisionCaching$/, reason: 'a webhook without TLS is refused' },

  { folder: 'apiserver/flowcontrol', tests: /^TestConcurrencyIsolation$/, reason: METRICS },

  { folder: 'apiserver/certreload', tests: /^TestClientCA(?:Update|Recreate)$/, reason: 'the cluster\'s own authorities of clients are always among those that are told' },
  { folder: 'apiserver/certreload', tests: /^TestServingCert(?:Update|Recreate)$/, reason: 'who connects by address is shown the cluster\'s own certificate' },
  { folder: 'apiserver/oidc', tests: /^TestStructuredAuthenticationConfig(?:CEL\/egress_proxy_is_ok|Reload\/old_to_new_config_with_egress)$/, reason: 'no egress selectors' },
  { folder: 'apiserver/oidc', tests: /^TestStructuredAuthenticationConfigReload\/old_valid_config_to_new_valid_config_with_typo/, reason: 'issuers have a minute to answer; the test looks after half of one, having set a shorter time in its own process' },
  { folder: 'apiserver/podlogs', tests: /^Test(?:InsecurePodLogs|PodLogsKubeletClientCertReload)$/, reason: TUNNEL },
  { folder: 'apiserver/portforward', tests: /^TestPortforward$/, reason: TUNNEL },

  { folder: 'auth', tests: /^Test(?:Local)?SubjectAccessReview$/, reason: WITHIN },
  { folder: 'auth', tests: /^Test(?:AuthModeAlwaysDeny|ImpersonateIsForbidden|AuthorizationAttributeDetermination)$/, reason: HEALTH },
  { folder: 'auth', tests: /^TestGetsSelfAttributes\//, reason: 'the test\'s own authenticator is asked over a webhook here, whose users are authenticated ones' },
  { folder: 'auth', tests: /^TestDiscoveryUpgradeBootstrapping$/, reason: 'it is about bindings of clusters of before 1.14, of which skiff has none' },
  { folder: 'auth', tests: /^TestConstrainedImpersonation\//, reason: 'metrics cannot be set back (`DELETE /metrics`)' },
  { folder: 'auth', tests: /^TestSloppySANCertificates$/, reason: 'it looks for the files of the server\'s certificate' },
  { folder: 'auth', tests: /^Test(?:MultiWebhookAuthzConfig|PodSecurity)$/, reason: METRICS },
  { folder: 'auth', tests: /^TestNodeRestrictionServiceAccountAudience\/intree_/, reason: 'there are no volumes of clouds to be taken for CSI\'s' },
  { folder: 'auth', tests: /^TestResourceClaimGranularStatusAuthorization\/fails_when_updating_both_allocation_and_devices_but_missing_binding_permission$/, reason: 'rights to parts of a claim\'s status are looked at once the rest is right' },

  { folder: 'auth', tests: /^TestServiceAccountTokenCreate\/(?:service_account_UID_validation_with_feature_gate_disabled|fails_to_bind_to_a_Node_if_the_feature_gate_is_disabled)$/, reason: GATES },

  { folder: 'certificates', tests: /^TestCSRDuration$/, reason: METRICS },
  { folder: 'certificates', tests: /^TestController_AutoApproval\/should_auto-approve_CSR_that_has_kube-apiserver-client-kubelet_signerName_and_matches_requirements_despite_missing_username_if_nodeclient_permissions_are_granted$/, reason: 'who asks for a node\'s certificate proves the node\'s name' },
  { folder: 'clustertrustbundles', tests: /^TestClusterTrustBundlesPublisherController/, reason: 'this controller, off by default, has no rights here' },
  { folder: 'client', tests: /^TestClient$/, reason: 'it compares `/version` with that of its own program' },
  { folder: 'controlplane', tests: /^Test(?:CreateLeaseOnStart|LeaseGarbageCollection\/)/, reason: 'no Leases of identity' },
  { folder: 'controlplane', tests: /^TestGenericControlplaneStartUp$/, reason: 'it starts another program of upstream\'s' },
  { folder: 'controlplane', tests: /^TestObjectSizeResponses\/[12]_MB_(?:labels|finalizers)$/, reason: 'objects may be larger than etcd\'s requests (1.5 MiB)' },
  { folder: 'examples', tests: /^TestAPIServiceWaitOnStart$/, reason: 'it has an etcd of its own' },
  { folder: 'examples', tests: /^TestAggregatedAPIServerRejectRedirectResponse$/, reason: 'its Service is found in the cluster, not by the test\'s resolver' },
  { folder: 'examples', tests: /^TestWebhookLoopback$/, reason: 'it looks for the call in its own process' },
  { folder: 'job', tests: /^Test(?:JobAdmissionParallelismUpdate\/parallelism_update_blocked_for_gang-scheduled_job|JobGangScheduling\/parallelism_update_blocked)$/, reason: 'gangs of Jobs (alpha) are the test\'s controller\'s alone' },
  { folder: 'job', tests: /^TestDelayTerminalPhaseCondition\/.*_JobPodReplacementPolicy_and_JobManagedBy_disabled$/, reason: GATES },
  { folder: 'kubelet', tests: /^TestPodCertificateManager$/, reason: CERTIFICATES_OF_PODS },
  { folder: 'metrics', tests: /^TestAPIServerMetrics(?:Pods|Namespaces)\//, reason: 'not upstream\'s: a distribution\'s label (system_client)' },
  { folder: 'metrics', tests: /^TestWatchCacheConsistencyCheckMetrics$/, reason: METRICS },
  { folder: 'storageversionmigrator', tests: /^TestStorageVersionMigration(?:WithCRD)?$/, reason: ETCD },
  { folder: 'storageversionmigrator', tests: /^TestStorageVersionMigrationDuringChaos$/, reason: 'upstream\'s controller has no rights here, as upstream without a gate' },
  { folder: 'podcertificaterequests', tests: /^Test(?:CleanerController|NodeRestriction\/node1_can_create_PCR_for_pod_on_node1|NodeAuthorization|NodeAuthorizerNamespaceNameConfusion)$/, reason: CERTIFICATES_OF_PODS },
  { folder: 'dualstack', tests: /^Test(?:UpgradeServicePreferTo|DowngradeServicePreferFrom)DualStack$/, reason: NETWORKS },
  { folder: 'tls', tests: /^TestAPICiphers$/, reason: 'its client takes a certificate of RSA only; the server\'s is of ECDSA' },
  { folder: 'servicecidr', tests: /^TestValidationAdmissionPolicyServiceCIDR$/, reason: NETWORKS },
]
