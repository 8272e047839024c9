import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#base/clock.ts'
import type { PodSpec } from '#api/types/index.ts'
import { cluster, NS, pod, PODS, template, type Cluster } from '../../kinds/kinds.test-support.ts'
import { parsePodSecurityConfig, type PodSecurityConfig } from './configuration.ts'
import { evaluate, showDetails } from './evaluate.ts'
import { podSecurity } from './pod-security.ts'
import { policyOf, PRIVILEGED, showPolicy, type Level } from './policy.ts'

async function guarded(labels: Record<string, string>, config?: PodSecurityConfig): Promise<Cluster> {
  const c = cluster([podSecurity({ clock: systemClock, ...(config && { config }) })])
  await c.create('/api/v1/namespaces', { metadata: { name: 'default', labels: Object.fromEntries(Object.entries(labels).map(([k, v]) => [`pod-security.kubernetes.io/${k}`, v])) } })
  return c
}

const SAFE = { securityContext: { allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: { drop: ['ALL'] }, seccompProfile: { type: 'RuntimeDefault' } } }

test('a namespace that enforces restricted refuses what upstream refuses, in its words, and takes what is safe', async () => {
  const c = await guarded({ enforce: 'restricted' })
  const refused = await c.call('POST', PODS, pod())
  assert.deepStrictEqual([refused.status, refused.json['reason'], refused.json['message'], refused.json['details']], [
    403, 'Forbidden',
    'pods "p" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
    + 'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
    + 'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    { name: 'p', kind: 'pods' },
  ])
  assert.equal((await c.call('POST', PODS, pod({}, {}, SAFE))).status, 201)
})

test('a debugging container is held to the level, too; what was there before its namespace was stricter may be changed otherwise', async () => {
  const c = await guarded({})
  const merge = { 'content-type': 'application/merge-patch+json' }
  await c.create(PODS, pod({}, { hostPID: true }))
  await c.call('PATCH', NS, { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } } }, merge)
  const labelled = await c.call('PATCH', `${PODS}/p`, { metadata: { labels: { a: 'b' } } }, merge)
  const image = await c.call('PATCH', `${PODS}/p`, [{ op: 'replace', path: '/spec/containers/0/image', value: 'other' }], { 'content-type': 'application/json-patch+json' })
  const debugged = await c.call('PATCH', `${PODS}/p/ephemeralcontainers`, { spec: { ephemeralContainers: [{ name: 'd', image: 'b', securityContext: { privileged: true } }] } }, merge)
  const because = 'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)'
  assert.deepStrictEqual([labelled.status, image.json['message'], debugged.json['message']], [200, because, `${because}, privileged (container "d" must not set securityContext.privileged=true)`])
})

test('workloads are only warned of, by the level that is enforced when no warn label says otherwise', async () => {
  const c = await guarded({ enforce: 'baseline', 'enforce-version': 'v1.30' })
  const made = await c.call('POST', '/apis/apps/v1/namespaces/default/deployments', { metadata: { name: 'd' }, spec: { selector: { matchLabels: { app: 'a' } }, template: template({ app: 'a' }, { hostNetwork: true, hostPID: true }) } })
  assert.deepStrictEqual([made.status, made.headers['warning']], [201, '299 - "would violate PodSecurity \\"baseline:v1.30\\": host namespaces (hostNetwork=true, hostPID=true)"'])
})

test('a namespace is told which of its pods do not keep to its new level; labels that mean nothing are refused', async () => {
  const c = await guarded({})
  for (const name of ['b', 'a', 'c']) await c.create(PODS, pod({ name }, name === 'c' ? { hostIPC: true } : {}, { ports: [{ containerPort: 80, hostPort: name === 'c' ? 0 : 80 }] }))
  const merge = { 'content-type': 'application/merge-patch+json' }
  const set = (labels: Record<string, string>) => c.call('PATCH', NS, { metadata: { labels } }, merge)
  const warned = await set({ 'pod-security.kubernetes.io/enforce': 'baseline' })
  assert.deepStrictEqual([warned.status, warned.headers['warning']], [
    200, '299 - "existing pods in namespace \\"default\\" violate the new PodSecurity enforce level \\"baseline:latest\\"", 299 - "a (and 1 other pod): hostPort", 299 - "c: host namespaces"',
  ])
  const wrong = await set({ 'pod-security.kubernetes.io/warn': 'strict', 'pod-security.kubernetes.io/warn-version': '1.2' })
  assert.deepStrictEqual([wrong.status, wrong.json['message']], [
    422, 'Namespace "default" is invalid: [metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: "strict": must be one of privileged, baseline, restricted, metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.2": must be "latest" or "v1.x"]',
  ])
})

test('exempt namespaces, users and runtime classes are let through', async () => {
  const config = (exemptions: object) => {
    const parsed = parsePodSecurityConfig({ apiVersion: 'pod-security.admission.config.k8s.io/v1', kind: 'PodSecurityConfiguration', defaults: { enforce: 'restricted' }, exemptions })
    assert.ok(parsed.ok)
    return parsed.config
  }
  const statuses = []
  for (const exemptions of [{}, { namespaces: ['default'] }, { usernames: ['admin'] }, { runtimeClasses: ['vm'] }]) {
    const c = await guarded({}, config(exemptions))
    statuses.push((await c.call('POST', PODS, pod({}, { runtimeClassName: 'vm' }))).status)
  }
  assert.deepStrictEqual(statuses, [403, 201, 201, 201])
})

test('a configuration says what is wrong with it', () => {
  const of = (over: object) => {
    const parsed = parsePodSecurityConfig({ apiVersion: 'pod-security.admission.config.k8s.io/v1', kind: 'PodSecurityConfiguration', ...over })
    return parsed.ok ? parsed.config : parsed.message
  }
  assert.deepStrictEqual([of({ defaults: { warn: 'x', 'audit-version': 'v2' } }), of({ exemptions: { usernames: ['', 'a', 'a'] } }), of({ kind: 'Other' }), of({ extra: 1 })], [
    'defaults.warn: Invalid value: "x": must be one of privileged, baseline, restricted, defaults.audit-version: Invalid value: "v2": must be "latest" or "v1.x"',
    'exemptions.usernames[0]: Invalid value: "": username must not be empty, exemptions.usernames[2]: Duplicate value: "a"',
    'no kind "Other" is registered for version "pod-security.admission.config.k8s.io/v1": expected PodSecurityConfiguration of pod-security.admission.config.k8s.io/v1',
    'unknown field "extra"',
  ])
})

test('each check speaks in upstream\'s words, from its version on', () => {
  const say = (level: Level, minor: number | 'latest', spec: Partial<PodSpec>, annotations: Record<string, string> = {}) => showDetails(evaluate({ level, minor }, { annotations }, { containers: [], ...spec }))
  const c = (name: string, over: object) => ({ name, image: 'i', ...over })
  const safe = c('c', SAFE)
  const cases: [string, string][] = [
    [say('baseline', 'latest', { containers: [c('a', { securityContext: { privileged: true } }), c('b', { securityContext: { privileged: true } })] }), 'privileged (containers "a", "b" must not set securityContext.privileged=true)'],
    [say('baseline', 'latest', { containers: [c('a', { securityContext: { capabilities: { add: ['SYS_ADMIN', 'NET_RAW', 'CHOWN'] } } })] }), 'non-default capabilities (container "a" must not include "NET_RAW", "SYS_ADMIN" in securityContext.capabilities.add)'],
    [say('baseline', 'latest', { volumes: [{ name: 'v', hostPath: { path: '/' } }] }), 'hostPath volumes (volume "v")'],
    [say('restricted', 'latest', { volumes: [{ name: 'v', hostPath: { path: '/' } }, { name: 'n', nfs: { server: 's', path: '/' } }, { name: 'e', emptyDir: {} }], containers: [safe] }), 'restricted volume types (volumes "v", "n" use restricted volume types "hostPath", "nfs")'],
    [say('baseline', 'latest', { containers: [c('a', { ports: [{ containerPort: 1, hostPort: 80 }, { containerPort: 2, hostPort: 443 }] })] }), 'hostPort (container "a" uses hostPorts 443, 80)'],
    [say('baseline', 'latest', { containers: [c('a', { livenessProbe: { httpGet: { port: 1, host: '10.0.0.1' } } })] }), 'probe or lifecycle host (container "a" uses probe or lifecycle host "10.0.0.1")'],
    [say('baseline', 33, { containers: [c('a', { livenessProbe: { httpGet: { port: 1, host: '10.0.0.1' } } })] }), ''],
    [say('baseline', 'latest', { containers: [c('a', { securityContext: { procMount: 'Unmasked' } })] }), 'procMount (container "a" must not set securityContext.procMount to "Unmasked")'],
    [say('baseline', 'latest', { hostUsers: false, containers: [c('a', { securityContext: { procMount: 'Unmasked' } })] }), ''],
    [say('restricted', 35, { hostUsers: false, containers: [c('a', { securityContext: { ...SAFE.securityContext, runAsNonRoot: false, runAsUser: 0, procMount: 'Unmasked' } })] }), 'procMount (container "a" must not set securityContext.procMount to "Unmasked")'],
    [say('restricted', 34, { hostUsers: false, containers: [c('a', { securityContext: { ...SAFE.securityContext, runAsNonRoot: false, runAsUser: 0 } })] }), 'runAsNonRoot != true (container "a" must not set securityContext.runAsNonRoot=false), runAsUser=0 (container "a" must not set runAsUser=0)'],
    [say('baseline', 'latest', { securityContext: { seLinuxOptions: { type: 'spc_t', user: 'u', role: 'r' } } }), 'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set; role may not be set)'],
    [say('baseline', 31, { securityContext: { seLinuxOptions: { type: 'container_engine_t' } } }), ''],
    [say('baseline', 30, { securityContext: { seLinuxOptions: { type: 'container_engine_t' } } }), 'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "container_engine_t")'],
    [say('baseline', 'latest', { securityContext: { seccompProfile: { type: 'Unconfined' } }, containers: [c('a', { securityContext: { seccompProfile: { type: 'Unconfined' } } })] }), 'seccompProfile (pod and container "a" must not set securityContext.seccompProfile.type to "Unconfined")'],
    [say('baseline', 18, {}, { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' }), 'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")'],
    [say('baseline', 'latest', { securityContext: { appArmorProfile: { type: 'Unconfined' } } }, { 'container.apparmor.security.beta.kubernetes.io/a': 'unconfined' }), 'forbidden AppArmor profiles (pod and annotation must not set AppArmor profile type to "Unconfined", "container.apparmor.security.beta.kubernetes.io/a="unconfined"")'],
    [say('baseline', 'latest', { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_rmem', value: '1' }, { name: 'kernel.msgmax', value: '1' }] } }), 'forbidden sysctls (kernel.msgmax)'],
    [say('baseline', 31, { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_rmem', value: '1' }] } }), 'forbidden sysctls (net.ipv4.tcp_rmem)'],
    [say('baseline', 'latest', { securityContext: { windowsOptions: { hostProcess: true } } }), 'hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)'],
    [say('restricted', 'latest', { containers: [c('a', { securityContext: { ...SAFE.securityContext, capabilities: { add: ['CHOWN', 'NET_BIND_SERVICE'] } } })] }), 'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]; container "a" must not include "CHOWN" in securityContext.capabilities.add)'],
    [say('restricted', 'latest', { os: { name: 'windows' }, containers: [c('a', { securityContext: { runAsNonRoot: true } })] }), ''],
    [say('restricted', 24, { os: { name: 'windows' }, securityContext: { runAsNonRoot: true, seccompProfile: { type: 'Localhost' } }, containers: [c('a', { securityContext: { capabilities: { drop: ['ALL'] } } })] }), 'allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false)'],
    [say('restricted', 99, { containers: [safe] }), ''],
    [say('privileged', 'latest', { hostNetwork: true }), ''],
  ]
  assert.deepStrictEqual(cases.map(([got]) => got), cases.map(([, want]) => want))
})

test('what cannot be read is strict for enforce and lenient for audit and warn', () => {
  const defaults = { enforce: PRIVILEGED, audit: PRIVILEGED, warn: PRIVILEGED }
  const { policy, errors } = policyOf({ 'pod-security.kubernetes.io/enforce': 'x', 'pod-security.kubernetes.io/audit': 'y', 'pod-security.kubernetes.io/enforce-version': 'v1.20' }, defaults)
  assert.deepStrictEqual([showPolicy(policy.enforce), showPolicy(policy.audit), showPolicy(policy.warn), errors.length], ['restricted:v1.20', 'privileged:latest', 'privileged:latest', 2])
})

test('evaluations, exemptions and errors are counted under upstream\'s names', async () => {
  const c = await guarded({ enforce: 'baseline', 'enforce-version': 'v1.30', warn: 'restricted', audit: 'privileged' })
  await c.call('POST', PODS, pod())
  await c.call('POST', PODS, pod({ name: 'bad' }, { hostPID: true }))
  const lines = (await c.call('GET', '/metrics')).text.split('\n').filter((line) => line.startsWith('pod_security_')).sort()
  const of = (decision: string, level: string, version: string, mode: string): string => `pod_security_evaluations_total{decision="${decision}",policy_level="${level}",policy_version="${version}",mode="${mode}",request_operation="create",resource="pod",subresource=""} 1`
  assert.deepStrictEqual(lines, [of('allow', 'baseline', 'v1.30', 'enforce'), of('deny', 'baseline', 'v1.30', 'enforce'), of('deny', 'restricted', 'latest', 'warn')])
})
