/** The application that the kubectl tests work with: everything that issue 2 names, in one manifest. */
import type { Cluster } from '../lab/cluster.ts'

export interface ShopOptions { namespace: string; replicas?: number; image?: string; greeting?: string; /** What the pods need to end: 0 in tests that delete many. */ graceSeconds?: number }

/** `web` answers HTTP on 8080 with its pod's name; `side` counts seconds in its log and ends at once when told to. */
export function shopManifest({ namespace, replicas = 3, image = 'busybox:1', greeting = 'hello', graceSeconds = 2 }: ShopOptions): string {
  return `
apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: ${namespace}}
data: {GREETING: ${greeting}, app.conf: "a=1\\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: ${namespace}}
type: Opaque
data: {PASSWORD: ${Buffer.from('swordfish').toString('base64')}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: ${namespace}, labels: {app: web}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: ${graceSeconds}
      containers:
      - name: web
        image: ${image}
        command: [sh, -c, 'echo "$GREETING from $POD_NAME"; mkdir -p /data/www; hostname > /data/www/index.html; exec httpd -f -v -p 8080 -h /data/www']
        envFrom:
        - configMapRef: {name: settings}
        env:
        - name: PASSWORD
          valueFrom: {secretKeyRef: {name: keys, key: PASSWORD}}
        - name: POD_NAME
          valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.name}}
        ports: [{name: http, containerPort: 8080}]
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: 500m, memory: 64Mi}}
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
        livenessProbe: {httpGet: {path: /, port: http}, initialDelaySeconds: 2, periodSeconds: 5}
        volumeMounts:
        - {name: data, mountPath: /data}
        - {name: all, mountPath: /all, readOnly: true}
      - name: side
        image: ${image}
        command: [sh, -c, 'trap "exit 0" TERM; i=0; while true; do echo tick $i; i=$((i+1)); sleep 1 & wait $!; done']
        resources: {requests: {cpu: 5m, memory: 8Mi}, limits: {memory: 32Mi}}
        readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
        livenessProbe: {exec: {command: ["true"]}, periodSeconds: 5}
        volumeMounts:
        - {name: data, mountPath: /data}
      volumes:
      - name: data
        emptyDir: {}
      - name: all
        projected:
          sources:
          - configMap: {name: settings}
          - secret: {name: keys}
          - downwardAPI: {items: [{path: labels, fieldRef: {apiVersion: v1, fieldPath: metadata.labels}}]}
          - serviceAccountToken: {path: token, expirationSeconds: 3600}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ${namespace}, labels: {app: web}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
`
}

/** Applies it and waits until the Deployment has rolled out. */
export async function openShop(cluster: Cluster, options: ShopOptions): Promise<void> {
  await cluster.must(['apply', '-f', '-'], { input: shopManifest(options) })
  await cluster.must(['-n', options.namespace, 'rollout', 'status', 'deployment/web', '--timeout=60s'])
}

/** Names of the pods that run and are not on their way out. */
export async function runningPods(cluster: Cluster, namespace: string, selector = 'app=web'): Promise<string[]> {
  const list = JSON.parse(await cluster.must(['-n', namespace, 'get', 'pods', '-l', selector, '-o', 'json'])) as { items: { metadata: { name: string; deletionTimestamp?: string }; status: { phase: string } }[] }
  return list.items.filter((p) => p.metadata.deletionTimestamp === undefined && p.status.phase === 'Running').map((p) => p.metadata.name).toSorted()
}
