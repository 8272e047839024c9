/** Cipher suites of TLS by their IANA names, which Go has, as OpenSSL calls them. Pure. */

/** Version 1.3 chooses among these by itself, as Go's: naming them changes nothing. */
const OF_1_3 = ['TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_256_GCM_SHA384']
const KEY_EXCHANGES: Readonly<Record<string, string>> = { TLS_ECDHE_ECDSA_WITH_: 'ECDHE-ECDSA-', TLS_ECDHE_RSA_WITH_: 'ECDHE-RSA-', TLS_RSA_WITH_: '' }
const REST: Readonly<Record<string, string>> = {
  AES_128_GCM_SHA256: 'AES128-GCM-SHA256', AES_256_GCM_SHA384: 'AES256-GCM-SHA384', CHACHA20_POLY1305_SHA256: 'CHACHA20-POLY1305', CHACHA20_POLY1305: 'CHACHA20-POLY1305',
  AES_128_CBC_SHA: 'AES128-SHA', AES_256_CBC_SHA: 'AES256-SHA', AES_128_CBC_SHA256: 'AES128-SHA256',
}

/** Undefined: there is none of that name. */
function opensslName(name: string): string | undefined {
  if (OF_1_3.includes(name)) return name
  const [prefix = '', exchange] = Object.entries(KEY_EXCHANGES).find(([one]) => name.startsWith(one)) ?? []
  const rest = REST[name.slice(prefix.length)]
  return exchange === undefined || rest === undefined || (exchange === '' && rest.startsWith('CHACHA')) ? undefined : `${exchange}${rest}`
}

/** What is wrong with a name, in upstream's words. */
export function suiteProblem(name: string): string | undefined {
  return opensslName(name) === undefined ? `Cipher suite ${name} not supported or doesn't exist` : undefined
}

/** With colons between; names that are none are left out. */
export function opensslCiphers(names: readonly string[]): string {
  return [...new Set([...OF_1_3, ...names.flatMap((name) => opensslName(name) ?? [])])].join(':')
}
