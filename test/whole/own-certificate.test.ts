/** A domain of one's own: its certificate on the API port, beside the cluster's own that nodes, pods and kubeconfigs go on to believe. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { systemRandom } from '#base/random.ts'
import { createCertificate, certificatePem, generateKey, privateKeyPem, NO_ALT_NAMES } from '#base/x509/index.ts'
import { Cluster, until } from '../lab/cluster.ts'

const DAY_MS = 86_400_000

describe('a certificate of one\'s own', { timeout: 600_000 }, () => {
  let cluster: Cluster
  const dir = mkdtempSync(join(tmpdir(), 'own-certificate-'))
  const file = (name: string) => join(dir, name)
  /** Signed by itself: who believes it names the file. */
  const write = async (name: string, ...dnsNames: string[]): Promise<string[]> => {
    const key = await generateKey()
    const der = createCertificate({ subject: { commonName: name, organizations: [] }, notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS, isCa: true, keyUsages: ['digitalSignature', 'certSign'], extendedKeyUsages: ['serverAuth'], altNames: { ...NO_ALT_NAMES, dnsNames } }, { key }, { selfSigned: key }, systemRandom)
    writeFileSync(file(`${name}.key`), privateKeyPem(key))
    writeFileSync(file(`${name}.crt`), certificatePem(der))
    return [file(`${name}.crt`), file(`${name}.key`)]
  }
  /** Whether who believes these authorities gets an answer by this name. */
  const answers = async (name: string, authorities: string): Promise<boolean> => {
    const [server, other] = cluster.lab.hosts
    if (!server || !other) throw new Error('the lab has two hosts')
    const { code, stdout } = await other.run(['curl', '-s', '--cacert', authorities, ...(name === '' ? [] : ['--resolve', `${name}:6443:${server.ip}`]), `https://${name === '' ? server.ip : name}:6443/version`])
    return code === 0 && stdout.includes('gitVersion')
  }

  before(async () => {
    const [cert = '', key = ''] = await write('all', 'kube.example.org')
    cluster = await Cluster.create({ hosts: 2, serverFlags: ['--tls-cert-file', cert, '--tls-private-key-file', key, '--tls-sni-cert-key', (await write('named', '*.example.net')).join(',')] })
    const config = JSON.parse(await cluster.must(['config', 'view', '--raw', '-o', 'json'])) as { clusters: { cluster: { 'certificate-authority-data': string } }[] }
    writeFileSync(file('cluster.crt'), Buffer.from(config.clusters[0]?.cluster['certificate-authority-data'] ?? '', 'base64'))
  })
  after(async () => {
    await cluster.destroy()
    rmSync(dir, { recursive: true })
  })

  it('is shown by its name; the cluster\'s own by address and by the names that pods use, and both nodes are ready', async () => {
    const seen = async (name: string) => [await answers(name, file('all.crt')), await answers(name, file('named.crt')), await answers(name, file('cluster.crt'))]
    assert.deepStrictEqual(
      [await seen('kube.example.org'), await seen('board.example.net'), await seen('kubernetes.default.svc'), await seen('')],
      [[true, false, false], [false, true, false], [false, false, true], [false, false, true]],
    )
    assert.equal((await cluster.must(['get', 'nodes', '-o', 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'])).trim(), 'True True')
  })

  it('is another one when its files are, without a restart', async () => {
    await write('all', 'kube.example.org')
    await until('the new certificate is shown', 20_000, () => answers('kube.example.org', file('all.crt')))
  })
})
