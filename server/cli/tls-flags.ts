/** What the API port speaks of TLS (`--tls-min-version`, `--tls-cipher-suites`, `--tls-curve-preferences`): kube-apiserver's names and words, as OpenSSL knows them. Pure. */
import { DEFAULT_CIPHERS } from 'node:tls'
import { UsageError } from '#base/errors.ts'
import { opensslCiphers } from '#base/tls-suites.ts'
import type { TlsChoice } from '../apiserver/http-server.ts'
import type { FlagValues } from './flags.ts'
import { list } from './node-config.ts'

const VERSIONS: Readonly<Record<string, NonNullable<TlsChoice['minVersion']>>> = { VersionTLS12: 'TLSv1.2', VersionTLS13: 'TLSv1.3' }

/** Go's numbers, the best first: their order in the flag says nothing. */
const GROUPS: readonly (readonly [id: number, name: string])[] = [[4588, 'X25519MLKEM768'], [4587, 'SecP256r1MLKEM768'], [4589, 'SecP384r1MLKEM1024'], [29, 'X25519'], [23, 'P-256'], [24, 'P-384'], [25, 'P-521']]

/** Those of OpenSSL's that use ChaCha20, which needs no instructions of its own: where a processor has none for AES it is the cheaper one, on either end. */
const CHACHA = ['TLS_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305']

/** Whether the processors of a /proc/cpuinfo know AES; those of a Raspberry Pi up to the 4 do not. One that does not say what it knows is taken for one that does. */
export function knowsAes(cpuinfo: string): boolean {
  return ![...cpuinfo.matchAll(/^(?:flags|Features)\s*:(.*)$/gm)].some(([, words = '']) => !/\baes\b/.test(words))
}

/** The server's order holds, as with Go's: where it is without AES (`hasAes` false), ChaCha20 before it. */
export function tlsChoiceOf(values: FlagValues, hasAes: boolean): TlsChoice {
  const [minVersion, suites, groups] = [VERSIONS[String(values['tls-min-version'] ?? '')], list(values, 'tls-cipher-suites'), list(values, 'tls-curve-preferences')]
  const chosen = suites.length > 0 ? opensslCiphers(suites) : undefined
  const ciphers = hasAes ? chosen : chosen === undefined ? [...CHACHA, DEFAULT_CIPHERS].join(':') : chaChaFirst(chosen)
  return { ...(minVersion && { minVersion }), ...(ciphers !== undefined && { ciphers }), ...(groups.length > 0 && { ecdhCurve: groupsOf(groups) }) }
}

function chaChaFirst(ciphers: string): string {
  const names = ciphers.split(':')
  return [...names.filter((name) => CHACHA.includes(name)), ...names.filter((name) => !CHACHA.includes(name))].join(':')
}

function groupsOf(ids: readonly string[]): string {
  const seen = new Set<number>()
  for (const text of ids) {
    const id = Number(text)
    const wrong = !Number.isInteger(id) || id < 1 || id > 65_535 ? `curve preference ${text} is out of range (must be 1-65535)`
      : seen.has(id) ? `duplicate curve preference ${text}` : GROUPS.some(([known]) => known === id) ? undefined : `curve preference ${text} is not supported`
    if (wrong !== undefined) throw new UsageError(`--tls-curve-preferences: ${wrong}`)
    seen.add(id)
  }
  return GROUPS.filter(([id]) => seen.has(id)).map(([, name]) => name).join(':')
}
