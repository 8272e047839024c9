/** A path or key below a domain, such as `acme.io/foo` (upstream `IsDomainPrefixedPath`, `IsDomainPrefixedKey`). */
import { checkDnsSubdomain, checkQualifiedName } from '#api/types/index.ts'
import { type FieldError, invalid, required } from '../field-error.ts'
import { named } from './check.ts'

const PATH = String.raw`[A-Za-z0-9/\-._~%!$&'()*+,;=:]+`
const PATH_PATTERN = new RegExp(`^${PATH}$`)

export function checkDomainPath(at: string, text: string): FieldError[] {
  if (text === '') return [required(at)]
  const slash = text.indexOf('/')
  if (slash <= 0 || slash === text.length - 1) return [invalid(at, text, 'must be a domain-prefixed path (such as "acme.io/foo")')]
  const path = text.slice(slash + 1)
  return [
    ...named(at, text.slice(0, slash), checkDnsSubdomain),
    ...(PATH_PATTERN.test(path) ? [] : [invalid(at, path, `Invalid path (regex used for validation is '${PATH}')`)]),
  ]
}

export function checkDomainPrefixedKey(at: string, key: string): FieldError[] {
  if (key === '') return [required(at)]
  const wrong = named(at, key, checkQualifiedName)
  return wrong.length > 0 || key.includes('/') ? wrong : [invalid(at, key, 'must be a domain-prefixed key (such as "acme.io/foo")')]
}
