/** The objects of the load: ConfigMaps of 1 kB, pods of realistic size. */

export const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps'
export const PODS = '/api/v1/namespaces/default/pods'

export function configMap(name: string, data: Record<string, string> = { payload: 'x'.repeat(1000) }, labels: Record<string, string> = { app: 'bench' }): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data }
}

/** Nobody schedules it. */
export function pod(name: string, shard: number): object {
  const container = (k: number): object => ({
    name: `c${k}`, image: `registry.example.com/team/app-${k}:v1.2.3`,
    env: Array.from({ length: 10 }, (_, e) => ({ name: `VAR_${e}`, value: `value-${e}-${shard}` })),
    ports: [{ containerPort: 8080 + k }],
    resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '128Mi' } },
    readinessProbe: { httpGet: { path: '/healthz', port: 8080 + k } },
  })
  return {
    apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: 'bench', shard: `s${shard}` }, annotations: { 'example.com/note': 'n'.repeat(400) } },
    spec: { schedulerName: 'nobody', automountServiceAccountToken: false, containers: [container(0), container(1)] },
  }
}
