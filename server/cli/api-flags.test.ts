/** Flags of the API server that name files: what is wrong is said in one line that names flag, file and mend, before anything starts. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { auditorOf } from './audit.ts'
import { openOwnEncryption } from '../apiserver/encryption/own-keys.ts'
import { MemoryStore } from '../store/store-memory.ts'
import { encryptionOptions, ownEncryptionFile } from './encryption.ts'
import { goawayChance, positiveDuration } from './flag-checks.ts'
import { parseFlags } from './flags.ts'
import { SERVER_FLAGS } from './verb-flags.ts'

const directory = mkdtempSync(join(tmpdir(), 'skiff-flags-'))
after(() => rmSync(directory, { recursive: true, force: true }))
const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}
const values = (...argv: string[]) => parseFlags('server', SERVER_FLAGS, { argv, env: {}, readConfig: () => ({}) }).values
const deps = { clock: new FakeClock(), log: silentLog, random: systemRandom }
const POLICY = file('policy.yaml', 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n')
const wrong = (message: RegExp) => ({ code: 'USAGE', message })

describe('limits', () => {
  it('have kube-apiserver\'s defaults', () => {
    const v = values()
    assert.deepEqual(['enable-priority-and-fairness', 'max-requests-inflight', 'max-mutating-requests-inflight', 'request-timeout', 'min-request-timeout', 'goaway-chance', 'audit-log-format'].map((name) => v[name]), [true, 400, 200, '1m', 1800, '0', 'json'])
  })
  it('are checked', () => {
    assert.deepEqual(['1m', '90s', '1h30m'].filter((t) => positiveDuration(t) !== undefined), [])
    assert.deepEqual(['0', '', 'soon', '5'].filter((t) => positiveDuration(t) === undefined), [])
    assert.deepEqual(['0', '.02', '0.001', '0.0'].filter((t) => goawayChance(t) !== undefined), [])
    assert.deepEqual(['1', '.03', '-1', 'x', ''].filter((t) => goawayChance(t) === undefined), [])
  })
})

describe('auditing', () => {
  it('needs a policy, and somewhere to put events', () => {
    assert.equal(auditorOf(values(), deps), undefined)
    assert.equal(auditorOf(values('--audit-policy-file', POLICY), deps), undefined)
    assert.ok(auditorOf(values('--audit-policy-file', POLICY, '--audit-log-path', '-'), deps))
    assert.throws(() => auditorOf(values('--audit-log-path', '-'), deps), wrong(/^--audit-log-path: nothing would be audited without a policy: pass --audit-policy-file FILE, too$/))
  })
  for (const [text, says] of [['rules: [', /^--audit-policy-file: .*policy-0.yaml is not valid YAML/], ['a: b', /policy-1.yaml: it is no Policy of audit.k8s.io\/v1$/], ['apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Much}]', /policy-2.yaml: rules\[0\].level: Unsupported value: "Much"/]].map((c, i) => [...c, i] as const).map(([text, says, i]) => [file(`policy-${String(i)}.yaml`, text as string), says as RegExp] as const)) {
    it(`a policy that is wrong: ${says.source}`, () => assert.throws(() => auditorOf(values('--audit-policy-file', text, '--audit-log-path', '-'), deps), wrong(says)))
  }
  it('a webhook\'s kubeconfig that is wrong is named', () => {
    assert.throws(() => auditorOf(values('--audit-policy-file', POLICY, '--audit-webhook-config-file', file('hook.yaml', 'clusters: []')), deps), wrong(/^--audit-webhook-config-file: .*hook.yaml names no server/))
  })
})

describe('encryption', () => {
  const options = (dataDir: string, ...argv: string[]) => encryptionOptions(values(...argv), join(directory, dataDir), deps)
  const open = async (dataDir: string, ...argv: string[]) => {
    const given = options(dataDir, ...argv)
    return 'kind' in given ? openOwnEncryption(new MemoryStore(), given, { ...deps, wrapping: Buffer.alloc(32), hasOthers: false }) : assert.fail('a file of the administrator\'s')
  }
  it('off unless asked for; --secrets-encryption makes a key once and keeps it, readable by its owner alone', async () => {
    assert.deepEqual((await open('none')).names(), [])
    const [name] = (await open('own', '--secrets-encryption')).names()
    const path = ownEncryptionFile(join(directory, 'own'))
    assert.equal(statSync(path).mode & 0o777, 0o600)
    const text = readFileSync(path, 'utf8')
    assert.deepEqual((await open('own', '--secrets-encryption')).names(), [name])
    // Without the flag what is sealed stays readable.
    assert.deepEqual((await open('own')).names(), [name])
    assert.equal(readFileSync(path, 'utf8'), text)
  })
  it('what contradicts itself or is wrong is refused', async () => {
    const config = file('enc.yaml', 'apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [{aesgcm: {keys: [{name: a, secret: c2hvcnQ=}]}}]}]\n')
    assert.throws(() => options('x', '--secrets-encryption', '--encryption-provider-config', config), wrong(/^--secrets-encryption: skiff keeps the keys itself then/))
    assert.throws(() => options('x', '--encryption-provider-config-automatic-reload'), wrong(/^--encryption-provider-config-automatic-reload: there is no file to follow/))
    assert.throws(() => options('x', '--encryption-provider-config', config), wrong(/^--encryption-provider-config: .*enc.yaml: resources\[0\].providers\[0\].aesgcm.keys\[0\].secret: secret is not of the expected length, got 5, expected one of \[16,24,32\] bytes$/))
    assert.throws(() => options('x', '--encryption-provider-config', join(directory, 'gone')), wrong(/^--encryption-provider-config: .*gone cannot be read: ENOENT/))
    assert.equal(existsSync(ownEncryptionFile(join(directory, 'x'))), false)
    await open('y', '--secrets-encryption')
    writeFileSync(ownEncryptionFile(join(directory, 'y')), '{}')
    assert.throws(() => options('y', '--secrets-encryption'), wrong(/^the key file .* is damaged: .*: restore it from a backup$/))
  })
})
