/** A replicated store of three members, a process each, that is asked in its members' own processes, where the API server asks it. */
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { systemRandom } from '#base/random.ts'
import { certificatePem, createCertificate, generateKey, NO_ALT_NAMES, parseCertificate, privateKeyPem } from '#base/x509/index.ts'
import { memberName, MEMBERS_ORGANIZATION } from '#server/replication/transport/member-name.ts'
import type { MemberCredentials } from '#server/replication/transport/tls.ts'
import { until } from '../lab/cluster.ts'
import { insideCommand } from './inside.ts'
import type { PutsQuestion, StoreMemberArguments } from './inside/store-member.ts'
import type { Writes } from './inside/writes.ts'

/** Where a member runs. `start` gets a command that reads questions from its stdin and answers on its stdout. */
export interface Place {
  ip: string
  port: number
  directory: string
  /** Of Node, before the program. */
  flags: readonly string[]
  start(command: string[]): ChildProcess
}

const DAY_MS = 86_400_000

export class StoreMember {
  readonly #child: ChildProcess
  readonly #waiting: ((line: string) => void)[] = []

  constructor(child: ChildProcess) {
    this.#child = child
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => this.#waiting.shift()?.(line))
  }

  get pid(): number { return this.#child.pid ?? 0 }

  puts(question: PutsQuestion): Promise<Writes> {
    return this.#ask(JSON.stringify(question))
  }

  async leads(): Promise<boolean> {
    const { leads, isFollowed } = await this.#ask<{ leads: boolean; isFollowed: boolean }>('status')
    return leads && isFollowed
  }

  async end(): Promise<void> {
    this.#child.stdin?.end()
    await until('a member ends', 30_000, () => this.#child.exitCode !== null)
  }

  #ask<T>(question: string): Promise<T> {
    return new Promise((resolve) => {
      this.#waiting.push((line) => resolve(JSON.parse(line) as T))
      this.#child.stdin?.write(`${question}\n`)
    })
  }
}

/** Resolves with the leader first, once all follow it. */
export async function startStoreMembers(places: readonly Place[]): Promise<StoreMember[]> {
  const credentials = await credentialsOf(places.length)
  const addresses = Object.fromEntries(places.map(({ ip, port }, i) => [String(i + 1), `${ip}:${port}`]))
  const members = places.map((place, i) => {
    const { ip, port, directory } = place
    const args: StoreMemberArguments = { id: i + 1, ip, port, directory, addresses, credentials: credentials[i] as MemberCredentials }
    const [node = '', ...program] = insideCommand('store-member', args)
    return new StoreMember(place.start([node, ...place.flags, ...program]))
  })
  let leader: StoreMember | undefined
  await until('a member leads and is followed', 30_000, async () => {
    for (const member of members) if (await member.leads()) leader = member
    return leader !== undefined
  })
  return members.toSorted((a, b) => Number(b === leader) - Number(a === leader))
}

async function credentialsOf(count: number): Promise<MemberCredentials[]> {
  const validity = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS }
  const caKey = await generateKey()
  const ca = createCertificate({ subject: { commonName: 'bench-ca', organizations: [] }, ...validity, isCa: true, keyUsages: ['certSign', 'digitalSignature'] }, { key: caKey }, { selfSigned: caKey }, systemRandom)
  return Promise.all(Array.from({ length: count }, async (_, i) => {
    const key = await generateKey()
    const certificate = createCertificate({
      subject: { commonName: memberName(i + 1), organizations: [MEMBERS_ORGANIZATION] }, ...validity,
      keyUsages: ['digitalSignature'], extendedKeyUsages: ['serverAuth', 'clientAuth'], altNames: { ...NO_ALT_NAMES, dnsNames: [memberName(i + 1)] },
    }, { key }, { certificate: parseCertificate(ca), key: caKey }, systemRandom)
    return { ca: certificatePem(ca), cert: certificatePem(certificate), key: privateKeyPem(key) }
  }))
}
