/** Each living namespace has the cluster's CA in ConfigMap kube-root-ca.crt (KEP-1205). Pure. */
import type { ConfigMap, Namespace, Stored } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'

export interface RootCaView { namespace: Stored<Namespace>; configMap: Stored<ConfigMap> | undefined; rootCaPem: string }
export type RootCaAction =
  | { kind: 'create'; configMap: ConfigMap }
  | { kind: 'update'; configMap: Stored<ConfigMap> }

export const ROOT_CA_NAME = 'kube-root-ca.crt'
const DESCRIPTION = 'kubernetes.io/description'
const DESCRIPTION_TEXT = 'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. ' +
  'No other usage is guaranteed across distributions of Kubernetes clusters.'

export function decideRootCa({ namespace, configMap, rootCaPem }: RootCaView): Decision<RootCaAction> {
  if (namespace.metadata.deletionTimestamp !== undefined || namespace.status?.phase === 'Terminating') return nothing('the namespace is being deleted')
  const data = { 'ca.crt': rootCaPem }
  if (!configMap) {
    const metadata = { name: ROOT_CA_NAME, namespace: namespace.metadata.name, annotations: { [DESCRIPTION]: DESCRIPTION_TEXT } }
    return { actions: [{ kind: 'create', configMap: { apiVersion: 'v1', kind: 'ConfigMap', metadata, data } }], because: 'no root CA ConfigMap' }
  }
  const right = configMap.data?.['ca.crt'] === rootCaPem && Object.keys(configMap.data).length === 1 && configMap.metadata.annotations?.[DESCRIPTION] !== undefined
  if (right) return nothing('right')
  const annotations = { ...configMap.metadata.annotations, [DESCRIPTION]: DESCRIPTION_TEXT }
  return { actions: [{ kind: 'update', configMap: { ...configMap, data, metadata: { ...configMap.metadata, annotations } } }], because: 'the root CA changed' }
}
