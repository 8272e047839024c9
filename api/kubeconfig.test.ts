import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { openPki } from '#server/apiserver/pki/pki.ts'
import { writeKubeconfig } from './kubeconfig.ts'

function hasKubectl(): boolean {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' })
    return true
  } catch {
    return false // Not installed: the test says so.
  }
}

test('kubectl reads the file, trusts the server by it and is known by its certificate', { skip: hasKubectl() ? false : 'kubectl is not installed' }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'kubeconfig-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const pki = await openPki({ dataDir: dir, clock: systemClock, random: systemRandom, log: silentLog, names: [], clusterDomain: 'cluster.local', serviceIp: '10.43.0.1' })
  const server = https.createServer({ cert: pki.serving.certPem, key: pki.serving.keyPem, ca: pki.authorities.client.certPem, requestCert: true, rejectUnauthorized: true }, (req, res) => {
    const { subject } = (req.socket as TLSSocket).getPeerCertificate()
    res.end(JSON.stringify({ path: req.url, who: [subject.O, subject.CN] }))
  })
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r))
  t.after(() => server.close())
  const path = join(dir, 'etc', 'skiff.yaml')
  await writeKubeconfig(path, { server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, ca: pki.authorities.server.certPem, clientCertificate: pki.admin.certPem, clientKey: pki.admin.keyPem })
  assert.equal((statSync(path).mode & 0o777).toString(8), '600')
  const { stdout } = await promisify(execFile)('kubectl', ['--kubeconfig', path, 'get', '--raw', '/whoami'])
  assert.deepStrictEqual(JSON.parse(stdout), { path: '/whoami', who: ['system:masters', 'system:admin'] })
  await writeKubeconfig(path, { server: 'https://127.0.0.1:1', ca: '', clientCertificate: '', clientKey: '' }, 0o644)
  assert.equal((statSync(path).mode & 0o777).toString(8), '644')
})
