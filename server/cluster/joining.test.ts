import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { ClusterConfig } from '#api/cluster-config.ts'
import { CONFIG_MAPS } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import type { PeerRequest } from '../apiserver/app.ts'
import { createMemoryClient } from '../apiserver/authn/memory-client.test-support.ts'
import { openPki } from '../apiserver/pki/pki.ts'
import { initialConfiguration } from '../raft/configuration.ts'
import type { ReplicaNode } from '../replication/contract.ts'
import { admit, decideAdmission, SILENCE_MS } from './admit.ts'
import { assertSameSettings, decodeBundle, encodeBundle, readBundle, writeBundle } from './join-bundle.ts'
import { BUNDLE_PATH, createJoinEndpoint, isServerToken, MEMBERS_PATH, type Admission } from './join-endpoint.ts'
import { parseMemberRequest } from './member-request.ts'
import { SERVERS_NAME, SERVERS_NAMESPACE, type ServerEntry } from './servers.ts'

const root = mkdtempSync(join(tmpdir(), 'joining-'))
after(() => rmSync(root, { recursive: true }))

const CLUSTER: ClusterConfig = { clusterCidr: '10.42.0.0/16', serviceCidr: '10.43.0.0/16', clusterDns: '10.43.0.10', clusterDomain: 'cluster.local', disabled: [] }
const settings = { cluster: CLUSTER, port: 6443, kubernetes: 'v1.36.0' }
const pkiOf = (dataDir: string) => openPki({ dataDir, clock: systemClock, random: systemRandom, log: silentLog, names: [], clusterDomain: 'cluster.local', serviceIp: '10.43.0.1' })

describe('the keys of a cluster', () => {
  it('make a server of the same cluster: same authorities, same tokens, same service account keys', async () => {
    const [first, second] = [join(root, 'first'), join(root, 'second')]
    const pki = await pkiOf(first)
    const bundle = decodeBundle(JSON.parse(encodeBundle(await readBundle(first, settings)).toString()))
    assert.deepEqual([bundle.cluster, bundle.port, bundle.kubernetes], [CLUSTER, 6443, 'v1.36.0'])
    await writeBundle(second, bundle)
    const joined = await pkiOf(second)
    for (const name of ['server', 'client', 'requestHeader', 'kubeletServing'] as const) assert.equal(joined.authorities[name].certPem, pki.authorities[name].certPem)
    assert.deepEqual(joined.tokens, pki.tokens)
    assert.equal(joined.serviceAccountKeys[0]?.kid, pki.serviceAccountKeys[0]?.kid)
    // Its own certificates are its own.
    assert.notEqual(joined.serving.keyPem, pki.serving.keyPem)
    assert.equal(statSync(join(second, 'server/tls/server-ca.key')).mode & 0o777, 0o600)
  })

  it('do not replace those of another cluster', async () => {
    const [first, other] = [join(root, 'a'), join(root, 'b')]
    await Promise.all([pkiOf(first), pkiOf(other)])
    const before = readFileSync(join(other, 'server/tls/server-ca.crt'), 'utf8')
    await assert.rejects(writeBundle(other, await readBundle(first, settings)), { code: 'USAGE', message: /^--server: this machine was a server of another cluster/ })
    assert.equal(readFileSync(join(other, 'server/tls/server-ca.crt'), 'utf8'), before)
  })

  it('are nothing but the files that are known, whatever an answer holds', async () => {
    const dataDir = join(root, 'c')
    await pkiOf(dataDir)
    const answer = JSON.parse(encodeBundle(await readBundle(dataDir, settings)).toString()) as { files: Record<string, string> }
    assert.deepEqual(Object.keys(decodeBundle({ ...answer, files: { ...answer.files, '../../etc/passwd': 'x' } }).files).toSorted(), Object.keys(answer.files).toSorted())
    const { token: _, ...lacking } = answer.files
    assert.throws(() => decodeBundle({ ...answer, files: lacking }), { code: 'JOIN_ANSWER_MALFORMED' })
    for (const wrong of [undefined, 1, {}, { files: {} }, { ...answer, port: 'x' }]) assert.throws(() => decodeBundle(wrong), { code: 'JOIN_ANSWER_MALFORMED' })
  })

  for (const [what, here, message] of [
    ['another service network', { ...settings, cluster: { ...CLUSTER, serviceCidr: '10.96.0.0/12' } }, '--service-cidr: the cluster runs with 10.43.0.0/16, this server was started with 10.96.0.0/12: pass --service-cidr 10.43.0.0/16'],
    ['another port', { ...settings, port: 7443 }, '--https-listen-port: the servers of the cluster listen on 6443, this one was started with 7443: pass --https-listen-port 6443'],
    ['other parts switched off', { ...settings, cluster: { ...CLUSTER, disabled: ['dns'] } }, '--disable: the cluster runs without --disable of dns and proxy, this server with --disable dns: pass the same on all servers'],
  ] as const) it(`are not taken by a server with ${what}`, () => assert.throws(() => assertSameSettings(here, settings), { code: 'USAGE', message }))
})

describe('what servers ask of each other', () => {
  const admissions: Admission[] = []
  const endpoint = createJoinEndpoint({ secret: () => 'strong', bundle: () => Promise.resolve({ ...settings, files: { token: 'x' } }), admit: () => Promise.resolve(admissions.shift() ?? { ok: true }), log: silentLog })
  const ask = async (method: string, path: string, authorization: string | undefined, body?: unknown) => {
    const answer = await endpoint({ method, path, headers: authorization === undefined ? {} : { authorization }, body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)), signal: new AbortController().signal, peer: { remoteAddress: '192.0.2.1' } } as PeerRequest)
    return answer && { status: answer.status, body: JSON.parse((answer.body as Buffer).toString()) as Record<string, unknown> }
  }

  it('is opened by the server token alone', async () => {
    for (const authorization of [undefined, 'Bearer wrong', 'Bearer node:strong', 'Basic strong', 'Bearer server:', `Bearer S10${'a'.repeat(64)}::node:strong`]) assert.equal((await ask('GET', BUNDLE_PATH, authorization))?.status, 401, authorization ?? 'none')
    for (const authorization of ['Bearer strong', 'bearer server:strong', `Bearer S10${'a'.repeat(64)}::server:strong`]) assert.equal((await ask('GET', BUNDLE_PATH, authorization))?.status, 200, authorization)
    assert.equal(isServerToken('Bearer ', ''), false)
  })

  it('is answered as the leader decides, and is nothing else', async () => {
    const member = { member: 5, address: '192.0.2.5:6443', name: 'h5' }
    admissions.push({ ok: true }, { ok: false, why: 'notLeader', leader: '192.0.2.1:6443' }, { ok: false, why: 'busy', message: 'later' }, { ok: false, why: 'refused', message: 'no' })
    const answers = []
    for (let i = 0; i < 4; i++) answers.push(await ask('POST', MEMBERS_PATH, 'Bearer strong', member))
    assert.deepEqual(answers.map((a) => [a?.status, a?.body['leader'] ?? a?.body['message']]), [[200, undefined], [421, '192.0.2.1:6443'], [503, 'later'], [409, 'no']])
    assert.equal((await ask('GET', MEMBERS_PATH, 'Bearer strong'))?.status, 405)
    assert.equal((await ask('POST', MEMBERS_PATH, 'Bearer strong', { member: -1 }))?.status, 400)
    assert.equal(await ask('GET', '/api', 'Bearer strong'), undefined)
  })

  it('names a member, an address and a name', () => {
    const parse = (value: unknown) => parseMemberRequest(Buffer.from(JSON.stringify(value)))
    assert.deepEqual(parse({ member: 7, address: '[2001:db8::1]:6443', name: 'h7', more: 1 }), { member: 7, address: '[2001:db8::1]:6443', name: 'h7' })
    for (const wrong of [null, [], { member: 1.5, address: 'a:1', name: 'x' }, { member: 1, address: 'a', name: 'x' }, { member: 1, address: 'a:1/x', name: 'x' }, { member: 1, address: 'a:99999', name: 'x' }, { member: 1, address: 'a:1', name: 'X Y' }]) assert.equal(parse(wrong), undefined, JSON.stringify(wrong))
    assert.equal(parseMemberRequest(Buffer.from('{')), undefined)
    assert.equal(parseMemberRequest(Buffer.alloc(100_000, ' ')), undefined)
  })
})

describe('who is taken in', () => {
  const configuration = initialConfiguration({ 1: 'a:6443', 2: 'b:6443', 3: 'c:6443' })
  const entries = new Map<number, ServerEntry>([[1, { name: 'h1', address: 'a:6443' }], [2, { name: 'h2', address: 'b:6443' }], [3, { name: 'h3', address: 'c:6443' }]])
  const follower = (member: number, active: boolean) => ({ member, state: 'replicate' as const, match: 0, next: 1, inFlight: 0, active })
  const status = { id: 1, configuration, followers: [follower(2, true), follower(3, false)] }

  it('is a new server, one that moved, and one that is there already', () => {
    assert.deepEqual(decideAdmission({ member: 4, address: 'd:6443', name: 'h4' }, status, entries), [{ kind: 'addVoter', member: 4, address: 'd:6443' }])
    assert.deepEqual(decideAdmission({ member: 2, address: 'b2:6443', name: 'h2' }, status, entries), [{ kind: 'addVoter', member: 2, address: 'b2:6443' }])
    assert.deepEqual(decideAdmission({ member: 2, address: 'b:6443', name: 'h2' }, status, entries), [])
  })

  it('is a machine that lost its disk, in place of what it was; nobody takes the name or address of one that is well', () => {
    assert.deepEqual(decideAdmission({ member: 9, address: 'c:6443', name: 'h3' }, status, entries), [{ kind: 'remove', member: 3 }, { kind: 'addVoter', member: 9, address: 'c:6443' }])
    const refused = (name: string, address: string) => (decideAdmission({ member: 9, address, name }, status, entries) as { message: string }).message
    assert.match(refused('h2', 'x:6443'), /^a server called h2 is in the cluster and running/)
    assert.match(refused('h1', 'x:6443'), /^a server called h1 is in the cluster and running/)
    assert.match(refused('h9', 'b:6443'), /^the server at b:6443 is in the cluster and running/)
    assert.equal(refused('h9', 'd:7443'), '--https-listen-port: the servers of the cluster listen on 6443, this one on 7443: start it with --https-listen-port 6443')
  })

  for (const [what, isBack, wanted] of [
    ['a server that ended a moment ago and is back without its disk', false, { ok: true }],
    ['nobody who calls himself as one that goes on answering', true, { ok: false, why: 'refused', message: 'a server called h2 is in the cluster and running: start this one with another --node-name' }],
  ] as const) it(`is ${what}: who was heard of lately is listened for once more`, async () => {
    const clock = new FakeClock()
    const client = createMemoryClient()
    await client.create(CONFIG_MAPS, { metadata: { name: SERVERS_NAME, namespace: SERVERS_NAMESPACE }, data: Object.fromEntries([...entries].map(([id, entry]) => [String(id), JSON.stringify(entry)])) })
    const changes: unknown[] = []
    const node = {
      status: () => ({ ...status, role: 'leader', followers: [follower(2, clock.monotonicMs() < SILENCE_MS || isBack)] }),
      changeMembers: (made: unknown) => { changes.push(made); return Promise.resolve() },
    } as unknown as ReplicaNode
    const asked = admit({ member: 9, address: 'b:6443', name: 'h2' }, node, client, { clock, log: silentLog })
    await clock.advance(SILENCE_MS)
    assert.deepEqual(await asked, wanted)
    assert.deepEqual(changes, isBack ? [] : [[{ kind: 'remove', member: 2 }, { kind: 'addVoter', member: 9, address: 'b:6443' }]])
  })
})
