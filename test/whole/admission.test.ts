/** Admission plugins of the real binary through kubectl: flags, pod security, quotas, what is protected while it is used. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { until } from '../lab/cluster.ts'
import { assertOneLine, OneHost } from './one-host.ts'

const pod = (name: string, spec: object = {}) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers: [{ name: 'c', image: 'busybox' }], ...spec } })
const SAFE = { containers: [{ name: 'c', image: 'busybox', securityContext: { allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: { drop: ['ALL'] }, seccompProfile: { type: 'RuntimeDefault' } } }] }

describe('admission plugins', { timeout: 600_000 }, () => {
  let lab: OneHost
  const kubectl = async (...args: string[]): Promise<{ out: string; warned: string }> => {
    const { code, stdout, stderr } = await lab.kubectl(args)
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`)
    return { out: stdout, warned: stderr }
  }
  const create = (namespace: string, object: object) => lab.kubectl(['-n', namespace, 'create', '-f', '-'], { input: JSON.stringify(object) })
  const refused = async (namespace: string, object: object): Promise<string> => {
    const { code, stderr } = await create(namespace, object)
    assert.equal(code, 1)
    return stderr.trim()
  }

  before(async () => {
    lab = await OneHost.create()
    writeFileSync(lab.path('admission.yaml'), 'apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  path: pods.yaml\n')
    writeFileSync(lab.path('pods.yaml'), 'apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\ndefaults:\n  enforce: baseline\nexemptions:\n  namespaces: [kube-system]\n')
    lab.start('server', ['server', ...lab.nodeFlags(), '--write-kubeconfig', lab.path('data.yaml'), '--disable-agent', '--disable', 'scheduler', '--admission-control-config-file', lab.path('admission.yaml'), '--enable-admission-plugins', 'AlwaysPullImages,DenyServiceExternalIPs', '--disable-admission-plugins', 'DefaultTolerationSeconds'])
    await lab.waitForApi()
    await until('the default account is there', 10_000, async () => (await lab.kubectl(['get', 'sa', 'default'])).code === 0)
  })
  after(async () => { await lab.lab.destroy() })

  it('are named as kube-apiserver names them, and a wrong name or file is one line', async () => {
    assertOneLine(await lab.run([...lab.serverFlags('other'), '--enable-admission-plugins', 'Nope']), 2, /^enable-admission-plugins plugin "Nope" is unknown$/)
    assertOneLine(await lab.run([...lab.serverFlags('other'), '--enable-admission-plugins', 'PodSecurity', '--disable-admission-plugins', 'PodSecurity']), 2, /^\[PodSecurity\] in enable-admission-plugins and disable-admission-plugins overlapped$/)
    writeFileSync(lab.path('wrong.yaml'), 'apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  configuration: {apiVersion: pod-security.admission.config.k8s.io/v1, kind: PodSecurityConfiguration, defaults: {enforce: strict}}\n')
    assertOneLine(await lab.run([...lab.serverFlags('other'), '--admission-control-config-file', lab.path('wrong.yaml')]), 2, /^--admission-control-config-file: .*wrong\.yaml: plugin PodSecurity: defaults\.enforce: Invalid value: "strict": must be one of privileged, baseline, restricted$/)
    await create('default', pod('plain'))
    const made = JSON.parse((await kubectl('get', 'pod', 'plain', '-o', 'json')).out) as { spec: { containers: { imagePullPolicy: string }[]; tolerations?: object[] } }
    assert.deepEqual([made.spec.containers[0]?.imagePullPolicy, made.spec.tolerations], ['Always', undefined])
    assert.match(await refused('default', { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { ports: [{ port: 80 }], externalIPs: ['1.2.3.4'] } }), /Use of external IPs is denied by admission control/)
  })

  it('hold pods to the level of their namespace, by label or by default', async () => {
    assert.equal(await refused('default', pod('x', { hostNetwork: true })), 'Error from server (Forbidden): error when creating "STDIN": pods "x" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)')
    assert.equal((await create('kube-system', pod('x', { hostNetwork: true, serviceAccountName: 'default' }))).code, 0)
    await kubectl('create', 'ns', 'strict')
    await create('strict', pod('old'))
    const { warned } = await kubectl('label', 'ns', 'strict', 'pod-security.kubernetes.io/enforce=restricted')
    assert.equal(warned, 'Warning: existing pods in namespace "strict" violate the new PodSecurity enforce level "restricted:latest"\nWarning: old: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile\n')
    assert.equal((await create('strict', pod('good', SAFE))).code, 0)
    const deployed = await kubectl('-n', 'strict', 'create', 'deployment', 'd', '--image=busybox')
    assert.match(deployed.warned, /^Warning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false \(container "busybox" must set/)
    await until('the ReplicaSet tells why it makes no pods', 15_000, async () => /Error creating: pods "d-.*violates PodSecurity "restricted:latest"/.test((await kubectl('-n', 'strict', 'get', 'events')).out))
  })

  it('charge quotas before anything is made, whoever comes at once, and give back what is deleted', async () => {
    await kubectl('create', 'ns', 'small')
    await until('the account is there', 10_000, async () => (await lab.kubectl(['-n', 'small', 'get', 'sa', 'default'])).code === 0)
    await kubectl('-n', 'small', 'create', 'quota', 'q', '--hard=pods=3,count/configmaps=3,services.nodeports=1')
    const used = async () => JSON.parse((await kubectl('-n', 'small', 'get', 'quota', 'q', '-o', 'jsonpath={.status.used}')).out || '{}') as Record<string, string>
    const says = (wanted: Record<string, string>) => until(`the quota says ${JSON.stringify(wanted)}`, 15_000, async () => { const now = await used(); return Object.entries(wanted).every(([name, value]) => now[name] === value) })
    await says({ pods: '0', 'count/configmaps': '1', 'services.nodeports': '0' })
    const outcomes = await Promise.all(Array.from({ length: 8 }, (_, i) => create('small', pod(`p${i}`))))
    assert.deepEqual([outcomes.filter((o) => o.code === 0).length, outcomes.filter((o) => /exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3/.test(o.stderr)).length], [3, 5])
    await says({ pods: '3' })
    assert.match((await kubectl('-n', 'small', 'describe', 'quota', 'q')).out, /pods +3 +3/)
    const first = (await kubectl('-n', 'small', 'get', 'pods', '-o', 'name')).out.split('\n')[0] ?? ''
    await kubectl('-n', 'small', 'delete', first)
    await says({ pods: '2' })
    assert.equal((await create('small', pod('again'))).code, 0)
    await kubectl('-n', 'small', 'create', 'service', 'nodeport', 'a', '--tcp=80')
    assert.match(await refused('small', { apiVersion: 'v1', kind: 'Service', metadata: { name: 'b' }, spec: { type: 'NodePort', ports: [{ port: 80 }] } }), /exceeded quota: q, requested: services\.nodeports=1, used: services\.nodeports=1, limited: services\.nodeports=1/)
  })

  it('keep a claim until the pod that uses it is gone', async () => {
    await create('default', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'far', labels: { 'topology.kubernetes.io/zone': 'z1' } } })
    await create('default', { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } })
    await create('default', pod('user', { nodeName: 'far', volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] }))
    assert.equal((await kubectl('get', 'pod', 'user', '-o', 'jsonpath={.metadata.labels.topology\\.kubernetes\\.io/zone}')).out, 'z1')
    await kubectl('delete', 'pvc', 'data', '--wait=false')
    assert.match((await kubectl('get', 'pvc', 'data', '--no-headers')).out, /^data +Terminating/)
    await kubectl('delete', 'pod', 'user', '--force', '--grace-period=0')
    await until('the claim is gone', 15_000, async () => /NotFound/.test((await lab.kubectl(['get', 'pvc', 'data'])).stderr))
  })
})
