/** Authenticating proxies as the flags say (`--requestheader-*`); names are kube-apiserver's, the headers' defaults those of its aggregation layer. */
import { REQUEST_HEADERS, type RequestHeaders } from '../apiserver/middleware/front-proxy.ts'
import { UsageError } from '#base/errors.ts'
import type { FlagValues } from './flags.ts'
import { list, text } from './node-config.ts'

const HEADERS = { userHeaders: 'requestheader-username-headers', uidHeaders: 'requestheader-uid-headers', groupHeaders: 'requestheader-group-headers', extraPrefixes: 'requestheader-extra-headers-prefix' } as const
const NAMES = 'requestheader-allowed-names'

export function requestHeadersOf(values: FlagValues): RequestHeaders {
  const idle = [NAMES, ...Object.values(HEADERS)].find((flag) => list(values, flag).length > 0)
  if (text(values, 'requestheader-client-ca-file') === undefined) {
    if (idle !== undefined) throw new UsageError(`--${idle}: no proxy is believed without an authority of its certificates: pass --requestheader-client-ca-file FILE, too`)
    return REQUEST_HEADERS
  }
  const of = (key: keyof typeof HEADERS): readonly string[] => {
    const given = list(values, HEADERS[key]).map((name) => name.trim().toLowerCase())
    const wrong = given.find((name) => !/^[a-z0-9!#$&'*+.^_`|~-]+$/.test(name))
    if (wrong !== undefined) throw new UsageError(`--${HEADERS[key]}: ${JSON.stringify(wrong)} is not the name of a header`)
    if (given.length > 0) return given
    // No proxy is believed about uids unless that is asked for.
    return key === 'uidHeaders' ? [] : REQUEST_HEADERS[key]
  }
  return { allowedNames: list(values, NAMES), userHeaders: of('userHeaders'), uidHeaders: of('uidHeaders'), groupHeaders: of('groupHeaders'), extraPrefixes: of('extraPrefixes') }
}
