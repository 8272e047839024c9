/** Which packages of upstream's integration tests are run: those that need an API server, and upstream's own controllers in the test's process, and nothing else. */

/** What is prefixed to a folder that does not say it itself. */
export const INTEGRATION = 'test/integration'
export const DEFINITIONS = 'staging/src/k8s.io/apiextensions-apiserver/test/integration'

export const FOLDERS: readonly string[] = [
  DEFINITIONS, `${DEFINITIONS}/conversion`,
  ...[
    'apimachinery', 'apimachinery/apply', 'apiserver', 'apiserver/admissionwebhook', 'apiserver/anonymous', 'apiserver/apply', 'apiserver/cel', 'apiserver/cel/authorizerselector/selectorenabled', 'apiserver/certreload', 'apiserver/discovery', 'apiserver/flowcontrol', 'apiserver/oidc',
    'apiserver/openapi', 'apiserver/podlogs', 'apiserver/portforward', 'auth', 'certificates', 'client', 'client/metrics', 'cloudprovider', 'clustertrustbundles', 'configmap', 'controllermanager', 'controlplane', 'controlplane/audit', 'cronjob', 'daemonset',
    'defaulttolerationseconds', 'deployment', 'disruption', 'dra/default', 'dryrun', 'dualstack', 'endpoints', 'endpointslice', 'events', 'evictions', 'examples', 'garbagecollector', 'job', 'kubelet', 'metrics', 'namespace', 'network', 'node', 'podcertificaterequests',
    'podgc', 'pods', 'pvc', 'quota', 'replicaset', 'replicationcontroller', 'scale', 'secrets', 'service', 'serviceaccount', 'servicecidr', 'serving', 'staleness', 'statefulset', 'storageclasses', 'storageversion', 'storageversionmigrator',
    'tls', 'ttlcontroller', 'volume',
  ].map((folder) => `${INTEGRATION}/${folder}`),
]
