/** What containers and pods may say about users, privileges and profiles (upstream `ValidateSecurityContext` and what it calls). */
import type { SecurityContext, WindowsSecurityContextOptions } from '#api/types/index.ts'
import { checkDnsSubdomain, rangeMessage } from '#api/types/index.ts'
import { type FieldError, invalid, required, tooLong } from '../field-error.ts'
import { named, oneOf } from './check.ts'
import { descendingPath } from './path-validation.ts'

const ID_MAX = 2 ** 31 - 1

export function validateIds(at: string, ids: { runAsUser?: number; runAsGroup?: number; fsGroup?: number }): FieldError[] {
  return Object.entries(ids).flatMap(([key, id]) => (id !== undefined && (id < 0 || id > ID_MAX) ? [invalid(`${at}.${key}`, id, rangeMessage(0, ID_MAX))] : []))
}

export function validateSecurityContext(at: string, sc: SecurityContext | undefined, hostUsers: boolean | undefined): FieldError[] {
  if (!sc) return []
  const out = validateIds(at, { ...(sc.runAsUser !== undefined && { runAsUser: sc.runAsUser }), ...(sc.runAsGroup !== undefined && { runAsGroup: sc.runAsGroup }) })
  out.push(...oneOf(`${at}.procMount`, sc.procMount, ['Default', 'Unmasked'], 'given'))
  if (sc.procMount === 'Unmasked' && hostUsers !== false) out.push(invalid(`${at}.procMount`, sc.procMount, '`hostUsers` must be false to use `Unmasked`'))
  if (sc.allowPrivilegeEscalation === false) {
    if (sc.privileged) out.push(invalid(at, sc, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'))
    if (sc.capabilities?.add?.includes('CAP_SYS_ADMIN')) out.push(invalid(at, sc, 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'))
  }
  return [...out, ...validateSeccomp(`${at}.seccompProfile`, sc.seccompProfile), ...validateWindowsOptions(`${at}.windowsOptions`, sc.windowsOptions), ...validateAppArmor(`${at}.appArmorProfile`, sc.appArmorProfile)]
}

const PROFILE_TYPES = ['Localhost', 'RuntimeDefault', 'Unconfined']
/** PATH_MAX - 1. */
const PROFILE_BYTES_MAX = 4095

export function validateSeccomp(at: string, profile: { type: string; localhostProfile?: string } | undefined): FieldError[] {
  if (!profile) return []
  const { type, localhostProfile: local } = profile
  const out = type ? oneOf(`${at}.type`, type, PROFILE_TYPES) : [required(`${at}.type`, 'type is required when seccompProfile is set')]
  if (type === 'Localhost') return [...out, ...(local === undefined ? [required(`${at}.localhostProfile`, 'must be set when seccomp type is Localhost')] : descendingPath(`${at}.localhostProfile`, local))]
  return local === undefined ? out : [...out, invalid(`${at}.localhostProfile`, profile, 'can only be set when seccomp type is Localhost')]
}

export function validateAppArmor(at: string, profile: { type: string; localhostProfile?: string } | undefined): FieldError[] {
  if (!profile) return []
  const { type, localhostProfile: local } = profile
  if (!type) return [required(`${at}.type`, 'type is required when appArmorProfile is set')]
  if (!PROFILE_TYPES.includes(type)) return oneOf(`${at}.type`, type, PROFILE_TYPES)
  if (type !== 'Localhost') return local === undefined ? [] : [invalid(`${at}.localhostProfile`, local, 'can only be set when AppArmor type is Localhost')]
  if (local === undefined) return [required(`${at}.localhostProfile`, 'must be set when AppArmor type is Localhost')]
  const out = local !== local.trim() ? [invalid(`${at}.localhostProfile`, local, 'must not be padded with whitespace')] : local === '' ? [required(`${at}.localhostProfile`, 'must be set when AppArmor type is Localhost')] : []
  return Buffer.byteLength(local) > PROFILE_BYTES_MAX ? [...out, tooLong(`${at}.localhostProfile`, PROFILE_BYTES_MAX)] : out
}

/** Windows' own limits. */
const CREDENTIAL_SPEC_BYTES_MAX = 64 * 1024
const DOMAIN_BYTES_MAX = 256
const USER_BYTES_MAX = 104
const NET_BIOS = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/
const DOMAIN = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/

export function validateWindowsOptions(at: string, options: WindowsSecurityContextOptions | undefined): FieldError[] {
  if (!options) return []
  const out: FieldError[] = []
  const { gmsaCredentialSpecName: specName, gmsaCredentialSpec: credentials, runAsUserName: user } = options
  if (specName !== undefined) out.push(...named(`${at}.gmsaCredentialSpecName`, specName, checkDnsSubdomain))
  if (credentials !== undefined) {
    if (credentials === '') out.push(invalid(`${at}.gmsaCredentialSpec`, credentials, 'gmsaCredentialSpec cannot be an empty string'))
    else if (Buffer.byteLength(credentials) > CREDENTIAL_SPEC_BYTES_MAX) out.push(invalid(`${at}.gmsaCredentialSpec`, credentials, `gmsaCredentialSpec size must be under ${CREDENTIAL_SPEC_BYTES_MAX / 1024} KiB`))
  }
  if (user !== undefined) out.push(...windowsUser(user).map((m) => invalid(`${at}.runAsUserName`, user, m)))
  return out
}

/** `user` or `domain\user`. */
function windowsUser(name: string): string[] {
  if (name === '') return ['runAsUserName cannot be an empty string']
  if (/\p{Cc}/u.test(name)) return ['runAsUserName cannot contain control characters']
  const [first = '', second, more] = name.split('\\')
  if (more !== undefined) return ['runAsUserName cannot contain more than one backslash']
  const [domain, user] = second === undefined ? [undefined, first] : [first, second]
  const out: string[] = []
  if (domain !== undefined && Buffer.byteLength(domain) >= DOMAIN_BYTES_MAX) out.push(`runAsUserName's Domain length must be under ${DOMAIN_BYTES_MAX} characters`)
  if (domain !== undefined && !NET_BIOS.test(domain) && !DOMAIN.test(domain)) out.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
  if (user === '') out.push("runAsUserName's User cannot be empty")
  else if (Buffer.byteLength(user) > USER_BYTES_MAX) out.push(`runAsUserName's User length must not be longer than ${USER_BYTES_MAX} characters`)
  if (/^[. ]+$/.test(user)) out.push("runAsUserName's User cannot contain only periods or spaces")
  if (/["/:;|=,+*?<>@[\]]/.test(user)) out.push('runAsUserName\'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]')
  return out
}
