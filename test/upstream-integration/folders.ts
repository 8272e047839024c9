/** Which packages of upstream's integration tests are run: those that need an API server and nothing else. */

/** What is prefixed to a folder that does not say it itself. */
export const INTEGRATION = 'test/integration'
export const DEFINITIONS = 'staging/src/k8s.io/apiextensions-apiserver/test/integration'

export const FOLDERS: readonly string[] = [
  DEFINITIONS, `${DEFINITIONS}/conversion`,
  ...[
    'apimachinery', 'apimachinery/apply', 'apiserver', 'apiserver/admissionwebhook', 'apiserver/anonymous', 'apiserver/apply', 'apiserver/cel', 'apiserver/certreload', 'apiserver/discovery', 'apiserver/flowcontrol', 'apiserver/oidc',
    'apiserver/openapi', 'apiserver/podlogs', 'apiserver/portforward', 'auth', 'certificates', 'client', 'clustertrustbundles', 'configmap', 'controlplane', 'controlplane/audit', 'defaulttolerationseconds',
    'dryrun', 'dualstack', 'endpoints', 'endpointslice', 'events', 'evictions', 'namespace', 'network', 'node', 'podcertificaterequests', 'pods', 'pvc', 'quota', 'scale', 'secrets', 'service', 'serviceaccount', 'servicecidr', 'serving', 'storageclasses',
    'tls', 'ttlcontroller', 'volume',
  ].map((folder) => `${INTEGRATION}/${folder}`),
]
