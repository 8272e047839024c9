/**
 * `node test/bench/beside-upstream.ts [--quick]`: the API load on `skiff server`, and on upstream's kube-apiserver with Debian's
 * etcd, one after the other in the same lab host with the same client. SKIFF_KUBE_APISERVER: the program, of any release.
 * Rates are of two programs and the client on one machine's cores; milliseconds of CPU are of all of the cluster's processes.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemRandom } from '#base/random.ts'
import { certificatePem, createCertificate, generateKey, privateKeyPem } from '#base/x509/index.ts'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { apiFigures } from './api-load.ts'
import { skiffPids, waitForNamespace } from './cluster-figures.ts'
import { etcdPids, startEtcd } from './etcd.ts'
import type { Figure } from './figure.ts'

const PORT = 7443
const DAY_MS = 86_400_000

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const program = process.env['SKIFF_KUBE_APISERVER']
if (program === undefined) throw new Error('SKIFF_KUBE_APISERVER does not name a kube-apiserver')

/** Resolves with the admin's kubeconfig when it is ready. */
async function startUpstream(host: LabHost, apiserver: string): Promise<string> {
  const [etcd] = await startEtcd([host])
  const dir = join(host.dir, 'upstream')
  mkdirSync(dir, { recursive: true })
  const validity = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS }
  const key = await generateKey()
  const subject = { commonName: 'admin', organizations: ['system:masters'] }
  // It signs itself: kube-apiserver only wants it among the authorities of clients.
  const certificate = certificatePem(createCertificate({ subject, ...validity, isCa: true, keyUsages: ['certSign', 'digitalSignature'], extendedKeyUsages: ['clientAuth'] }, { key }, { selfSigned: key }, systemRandom))
  const tokens = generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(join(dir, 'clients.crt'), certificate)
  writeFileSync(join(dir, 'tokens.key'), tokens.privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 })
  host.start('kube-apiserver', [
    apiserver, `--etcd-servers=http://${etcd?.host}:${etcd?.port}`, `--bind-address=${host.ip}`, `--advertise-address=${host.ip}`, `--secure-port=${PORT}`, `--cert-dir=${join(dir, 'serving')}`, '--service-cluster-ip-range=10.43.0.0/16',
    '--endpoint-reconciler-type=none', '--service-account-issuer=https://kubernetes.default.svc', `--service-account-key-file=${join(dir, 'tokens.key')}`, `--service-account-signing-key-file=${join(dir, 'tokens.key')}`,
    `--client-ca-file=${join(dir, 'clients.crt')}`, '--authorization-mode=Node,RBAC', '--disable-admission-plugins=ServiceAccount',
  ])
  const kubeconfig = join(dir, 'kubeconfig')
  const base64 = (pem: string | Buffer) => Buffer.from(pem).toString('base64')
  await until('kube-apiserver is ready', 120_000, async () => {
    if (host.processes().every((p) => !p.command.includes('--etcd-servers='))) throw new Error(`kube-apiserver ended: ${host.log('kube-apiserver').slice(-2_000)}`)
    const ready = await host.run(['curl', '-sk', '--max-time', '5', `https://${host.ip}:${PORT}/readyz`])
    return ready.stdout === 'ok'
  })
  writeFileSync(kubeconfig, JSON.stringify({
    clusters: [{ cluster: { server: `https://${host.ip}:${PORT}`, 'certificate-authority-data': base64(readFileSync(join(dir, 'serving/apiserver.crt'))) } }],
    users: [{ user: { 'client-certificate-data': base64(certificate), 'client-key-data': base64(privateKeyPem(key)) } }],
  }), { mode: 0o600 })
  return kubeconfig
}

const cluster = await Cluster.create({ hosts: 1, serverFlags: ['--disable-agent'], waitForNodes: false })
try {
  const host = cluster.server
  await waitForNamespace(cluster)
  const ours = await apiFigures({ host, kubeconfig: host.kubeconfig, pids: skiffPids(host), quick: values.quick })
  await cluster.stop(host)
  const kubeconfig = await startUpstream(host, program)
  const pids = [...etcdPids(host), ...host.processes().filter((p) => p.command.includes('--etcd-servers=')).map((p) => p.pid)]
  const theirs = await apiFigures({ host, kubeconfig, pids, quick: values.quick })
  for (const [i, figure] of ours.entries()) console.log(line(figure, theirs[i]))
} finally {
  await cluster.destroy()
}

function line(ours: Figure, theirs: Figure | undefined): string {
  if (!theirs) return ours.name
  const times = ours.better === 'higher' ? ours.value / theirs.value : theirs.value / ours.value
  const shown = ({ value, unit, note }: Figure) => `${value.toPrecision(4)} ${unit}${note === undefined ? '' : ` (${note})`}`
  return `${ours.name.padEnd(40)} ${shown(ours).padEnd(36)} upstream ${shown(theirs).padEnd(36)} ${times.toFixed(1)} times better`
}
