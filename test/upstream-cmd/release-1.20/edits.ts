/**
 * What is changed in upstream's scripts of 1.20 before they run: what asks for API versions that 1.36 does not have, and
 * texts that kubectl itself has changed since. Nothing is changed to suit skiff.
 */
import type { Edit } from '../release.ts'

const ANY_SCHEMA = '"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}'
const DEFINITIONS = ['test/cmd/apply.sh', 'test/cmd/crd.sh']
const VERSION_GONE = 'apiextensions.k8s.io/v1beta1 is gone since 1.22: the same definition in v1'

export const EDITS: readonly Edit[] = [
  {
    files: ['test/cmd/crd.sh'], reason: VERSION_GONE,
    from: /"version": "v1",(\s+"scope": "Namespaced",\s+"names": \{\s+"plural": "validfoos",\s+"kind": "ValidFoo"\s+\}),\s+"validation": \{\s+"openAPIV3Schema": \{\s+("properties": [^]*?)\n    \}\n  \}\n\}\n/g,
    to: '"versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object",\n        $2\n\n\n    }}],$1\n  }\n}\n',
  },
  { files: DEFINITIONS, reason: VERSION_GONE, from: /"version": "(v1|v1alpha1)",\n/g, to: `"versions": [{"name": "$1", "served": true, "storage": true, ${ANY_SCHEMA}}],\n` },
  { files: DEFINITIONS, reason: VERSION_GONE, from: 'apiextensions.k8s.io/v1beta1', to: 'apiextensions.k8s.io/v1' },
  {
    files: ['hack/testdata/multi-resource-4.yaml'], reason: VERSION_GONE,
    from: /apiextensions\.k8s\.io\/v1beta1([^]*)\n  version: v1\n/g, to: 'apiextensions.k8s.io/v1$1\n  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]\n',
  },
  { files: ['test/cmd/legacy-script.sh'], reason: 'autoscaling/v2 is what 1.23 and later prefer', from: '.spec.targetCPUUtilizationPercentage', to: '(index .spec.metrics 0).resource.target.averageUtilization' },
  { files: ['test/cmd/save-config.sh'], reason: 'the same', from: "'autoscaling/v1'", to: "'autoscaling/v2'" },
  { files: ['test/cmd/get.sh'], reason: 'the same', from: '/apis/autoscaling/v1/', to: '/apis/autoscaling/v2/' },
  { files: ['test/cmd/proxy.sh'], reason: 'extensions/v1beta1 is gone since 1.22', from: '/apis/extensions/', to: '/apis/apps/' },
  { files: ['test/cmd/discovery.sh'], reason: 'singular names are in discovery since 1.27', from: '"singularName":"","namespaced":true,"kind":"ConfigMap"', to: '"singularName":"configmap","namespaced":true,"kind":"ConfigMap"' },
  { files: ['test/cmd/authorization.sh'], reason: 'authorization.k8s.io/v1beta1 is gone since 1.22; v1 is asked twice', from: /(sar-|authorization\.k8s\.io\/)v1beta1/g, to: '$1v1' },
  { files: ['test/cmd/core.sh'], reason: 'authentication.k8s.io/v1beta1 is gone since 1.22', from: 'tokenreview-v1beta1', to: 'tokenreview-v1' },
  { files: ['hack/testdata/csr.yml'], reason: 'certificates.k8s.io/v1beta1 is gone since 1.22; v1 wants a signer and usages', from: /certificates\.k8s\.io\/v1beta1([^]*)\nspec:\n/g, to: 'certificates.k8s.io/v1$1\nspec:\n  signerName: kubernetes.io/kube-apiserver-client\n  usages: [client auth]\n' },
  { files: ['test/cmd/template-output.sh'], reason: 'batch/v1beta1 is gone since 1.25', from: 'batch/v1beta1', to: 'batch/v1' },
  { files: ['test/cmd/generic-resources.sh'], reason: 'the file of the source, not of the network', from: 'https://raw.githubusercontent.com/kubernetes/kubernetes/master/', to: '' },

  // kubectl's own changes.
  { files: ['test/cmd/apply.sh', 'test/cmd/crd.sh'], kubectl: (minor) => minor >= 26, reason: '--prune-whitelist became --prune-allowlist', from: '--prune-whitelist', to: '--prune-allowlist' },
  { files: ['test/cmd/core.sh'], kubectl: (minor) => minor >= 24, reason: '--service-overrides became --overrides, which are of the pod', from: /--service-overrides=|'service (?=testmetadata' "\{\{\.metadata\.annotations)/g, to: (text) => (text.startsWith('--') ? '--overrides=' : "'pod ") },
  { files: ['test/cmd/core.sh', 'test/cmd/apps.sh'], kubectl: (minor) => minor >= 24, reason: 'expose has no generators, and names no port', from: / --generator=service\/v1|'default 80'/g, to: (text) => (text.startsWith("'") ? "'<no value> 80'" : '') },
  { files: ['test/cmd/exec.sh'], kubectl: (minor) => minor >= 30, reason: 'exec wants -- before the command', from: /(kubectl exec \S+) date/g, to: '$1 -- date' },
  { files: ['test/cmd/rbac.sh', 'test/cmd/core.sh', 'test/cmd/storage.sh'], kubectl: (minor) => minor >= 24, reason: 'the warning begins with a capital', from: "'warning: deleting cluster-scoped", to: "'Warning: deleting cluster-scoped" },
  { files: ['test/cmd/get.sh'], kubectl: (minor) => minor >= 33, reason: 'kubectl logs requests as url="..." status="200 OK"', from: / 200( OK)?"$/gm, to: '.*200$1"' },
  {
    files: ['test/cmd/create.sh'], reason: 'convert is a plugin, which Debian does not have; the file goes as it is',
    from: /grep -q "cannot be handled as a Namespace: converting \(v1\.Pod\)" <<< "\$\( kubectl convert -f (\S+) -o json \| kubectl create "\$\{kube_flags\[@\]\}" --raw \/api\/v1\/namespaces -f - /g,
    to: 'grep -q "the object provided is unrecognized (must be of type Namespace)" <<< "$(kubectl create "${kube_flags[@]}" --raw /api/v1/namespaces -f $1 ',
  },
]
