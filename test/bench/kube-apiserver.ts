/** An upstream kube-apiserver on a lab's host, of any release, with an etcd of its own beside it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { systemRandom } from '#base/random.ts'
import { certificatePem, createCertificate, generateKey, privateKeyPem } from '#base/x509/index.ts'
import { until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { startEtcd } from './etcd.ts'

const PORT = 7443
const DAY_MS = 86_400_000

/** Resolves with the admin's kubeconfig when it is ready. */
export async function startKubeApiserver(host: LabHost, apiserver: string, flags: readonly string[] = []): Promise<string> {
  const [etcd] = await startEtcd([host])
  const dir = join(host.dir, 'upstream')
  mkdirSync(dir, { recursive: true })
  const validity = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS }
  const key = await generateKey()
  const subject = { commonName: 'system:admin', organizations: ['system:masters'] }
  // It signs itself: kube-apiserver only wants it among the authorities of clients.
  const certificate = certificatePem(createCertificate({ subject, ...validity, isCa: true, keyUsages: ['certSign', 'digitalSignature'], extendedKeyUsages: ['clientAuth'] }, { key }, { selfSigned: key }, systemRandom))
  const tokens = generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(join(dir, 'clients.crt'), certificate)
  writeFileSync(join(dir, 'tokens.key'), tokens.privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 })
  const child = host.start('kube-apiserver', [
    apiserver, `--etcd-servers=http://${etcd?.host}:${etcd?.port}`, `--bind-address=${host.ip}`, `--advertise-address=${host.ip}`, `--secure-port=${PORT}`, `--cert-dir=${join(dir, 'serving')}`, '--service-cluster-ip-range=10.43.0.0/16',
    '--endpoint-reconciler-type=none', '--service-account-issuer=https://kubernetes.default.svc.cluster.local', `--service-account-key-file=${join(dir, 'tokens.key')}`, `--service-account-signing-key-file=${join(dir, 'tokens.key')}`,
    `--client-ca-file=${join(dir, 'clients.crt')}`, '--authorization-mode=Node,RBAC', '--disable-admission-plugins=ServiceAccount', ...flags,
  ])
  const kubeconfig = join(dir, 'kubeconfig')
  const base64 = (pem: string | Buffer) => Buffer.from(pem).toString('base64')
  await until('kube-apiserver is ready', 120_000, async () => {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`kube-apiserver ended: ${host.log('kube-apiserver').slice(-2_000)}`)
    const ready = await host.run(['curl', '-sk', '--max-time', '5', `https://${host.ip}:${PORT}/readyz`])
    return ready.stdout === 'ok'
  })
  writeFileSync(kubeconfig, JSON.stringify({
    clusters: [{ cluster: { server: `https://${host.ip}:${PORT}`, 'certificate-authority-data': base64(readFileSync(join(dir, 'serving/apiserver.crt'))) } }],
    users: [{ user: { 'client-certificate-data': base64(certificate), 'client-key-data': base64(privateKeyPem(key)) } }],
  }), { mode: 0o600 })
  return kubeconfig
}
